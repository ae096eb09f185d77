"""`naslora data list` and `show`: describe domains in numbers and as a contact sheet."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from naslora_core.data.curation.describe import ClassShare, Description


def list_(as_json: Json = False) -> None:
    """Show every domain: how many pairs, what it shows, and whether naslora run includes it."""
    from naslora_core.config import load_params
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.errors import DataError
    from pipelines.cli.data.domains import counts, data_folder
    from stages.paths import StagePaths

    paths = StagePaths(data_folder().parent)
    enabled = load_params(paths.params).domains
    if not (names := sorted({*paths.domains(), *enabled})):
        typer.echo("No data yet.")
    width = max((len(name) for name in names), default=0)
    rows = []
    for name in names:
        row: dict[str, object] = {"domain": name, "in_run": name in enabled, "error": None}
        try:
            dataset = read_dataset(paths.data(name))
            text = f"{counts(dataset)}  {dataset.card.title}"
            row |= {"pairs": len(dataset.pairs), "title": dataset.card.title}
        except DataError as error:
            text = f"not usable: {error}"
            row["error"] = str(error)
        rows.append(row)
        typer.echo(f"{'*' if name in enabled else ' '} {name:<{width}}  {text}")
    typer.echo("* is in domains of params.yaml and part of naslora run")
    typer.echo("Next: naslora data show <domain>, or naslora data import folder <folder> to add your own")
    print_result(rows)


def show(
    domain: Annotated[str, typer.Argument(help="Which domain.")],
    count: Annotated[int, typer.Option(min=1, help="How many images the contact sheet shows, about.")] = 20,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the contact sheet goes.", show_default="artifacts/data/DOMAIN_contact_sheet.png"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a domain into numbers, and its images with their masks onto one picture."""
    from naslora_core.data.curation.describe import describe, measure_masks
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.pictures.contact_sheet import write_contact_sheet
    from pipelines.cli.data.domains import find_domain
    from stages.runner import ConsoleProgress

    root = find_domain(domain)
    dataset = read_dataset(root)
    description = describe(dataset, measure_masks(dataset, ConsoleProgress()))
    sheet = output or root.parents[1] / "artifacts" / "data" / f"{domain}_contact_sheet.png"
    write_contact_sheet(sheet, dataset, count)
    for line in _lines(description):
        typer.echo(line)
    typer.echo(f"Contact sheet: {sheet}")
    typer.echo(f"Next: naslora data check {domain}")
    print_result(asdict(description) | {"contact_sheet": sheet})


def _lines(description: "Description") -> list[str]:
    """Return the description as lines of text."""
    pairs, groups = description.pairs, description.groups
    grouped = sum(groups.values()) < sum(pairs.values())
    lines = [f"{description.name}: {description.title}", f"  pairs      {_row(pairs)}"]
    lines += [f"  groups     {_row(groups)}"] if grouped else ["  groups     every image stands for itself"]
    if description.sizes:
        sizes = ", ".join(f"{how} {width}x{height}" for how, (height, width) in description.sizes.items())
        lines.append(f"  sizes      {description.distinct_sizes} different: {sizes}")
    lines += [f"  class      {line}" for line in class_lines(description.classes, description.pairs)]
    if description.ignored:
        lines.append(f"  ignored    {description.ignored:.2%} of an image are not labelled, and left out everywhere")
    lines += [
        f"  masks      {description.encoding}",
        *([f"  images     {description.image_reading}"] if description.image_reading else []),
        f"  split      {description.split_rule}",
        f"  licence    {description.licence}",
        f"  source     {description.source}",
        f"  citation   {description.citation}",
    ]
    if description.unmeasured:
        lines.append(f"  unread     {len(description.unmeasured)} masks are missing or broken; see naslora data check")
    lines += [f"  quarantine {one.name} ({one.split}), {one.date}: {one.reason}" for one in description.quarantined]
    return lines


def class_lines(classes: "dict[str, dict[str, ClassShare]]", pairs: dict[str, int]) -> list[str]:
    """Return one line per class: its share of the pixels and the number of images with it, by split."""
    lines = []
    for name, of_split in classes.items():
        parts = [f"{split} {one.mean_share:.2%} in {one.images} of {pairs[split]}" for split, one in of_split.items()]
        lines.append(f"{name}: {', '.join(parts)}")
    return lines


def _row(numbers: dict[str, int]) -> str:
    return f"{sum(numbers.values())} ({', '.join(f'{count} {split}' for split, count in numbers.items())})"
