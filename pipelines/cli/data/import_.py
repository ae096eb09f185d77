"""`naslora data import`: import images and masks from a folder or an archive."""

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import typer
from typer.core import TyperCommand

from naslora_core.errors import ConfigError, few
from pipelines.cli.data.domains import counts, data_folder
from pipelines.cli.data.import_options import (
    Add,
    Bands,
    Bare,
    Classes,
    DryRun,
    Enable,
    Ignore,
    Images,
    Layout,
    Masks,
    Name,
    Outlines,
    Output,
    Pairs,
    PairsOnly,
    Range,
    Reading,
    Replace,
    Seed,
    SkipBad,
    Source,
    Test,
    Threshold,
    Tile,
    Validation,
    Void,
    band_numbers,
)
from pipelines.cli.data.import_place import as_word, domain_name, opened, place_of

if TYPE_CHECKING:
    from naslora_core.data.dataset.dataset import Dataset
    from naslora_core.data.importers import Found

AUTO = "auto"


class ImportCommand(TyperCommand):
    """The command class, whose help lists the layouts; they are loaded for this help only, to keep others fast."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help, and a line for each layout."""
        from naslora_core.data.importers import IMPORTERS

        super().format_help(ctx, formatter)
        width = max(map(len, IMPORTERS))
        typer.echo(f"Layouts; {AUTO} finds out which of them it is:")
        for name in IMPORTERS:
            typer.echo(f"  {name:<{width}}  {IMPORTERS[name].summary}")


def import_(
    layout: Layout,
    source: Source = None,
    name: Name = None,
    images: Images = None,
    masks: Masks = None,
    pairs: Pairs = None,
    classes: Classes = None,
    threshold: Threshold = None,
    outline: Outlines = None,
    void: Void = None,
    reading: Reading = None,
    ignore: Ignore = None,
    tile: Tile = None,
    bands: Bands = None,
    value_range: Range = None,
    validation: Validation = None,
    test: Test = None,
    seed: Seed = None,
    pairs_only: PairsOnly = False,
    skip_bad: SkipBad = False,
    no_mask_is_empty: Bare = False,
    add: Add = False,
    enable: Enable = True,
    output: Output = None,
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Copy images and masks into a domain of their own, divide them, and add it to params.yaml."""
    from naslora_core.data.importers import (
        IMPORTERS,
        ImportRequest,
        LeftOut,
        add_dataset,
        check_addable,
        check_free,
        import_dataset,
        recognise,
    )
    from naslora_core.data.importers.image_range import with_image_reading
    from naslora_core.data.importers.painting.paint_report import PaintReport, paint_found
    from naslora_core.data.importers.shared.class_options import parse_class_options, parse_ignored, parse_reading
    from pipelines.cli.data.reading import print_painted
    from pipelines.run.enable_domain import enable_domain
    from stages.console import ConsoleProgress

    if add and replace:
        raise ConfigError("--add keeps what the domain has, --replace takes its place; give one of them")
    importer = None if layout == AUTO else IMPORTERS[layout]
    place, given = place_of(layout, source, images, masks, pairs)
    named = parse_class_options(classes or [])
    with opened(place) as folder:
        importer = importer or recognise(folder)
        domain = domain_name(name or given or (importer.name if importer.home else ""), place)
        target = (output or data_folder()) / domain
        if add:
            check_addable(target)
        elif not dry_run:
            check_free(target, replace)
        request = ImportRequest(
            folder,
            images,
            masks,
            pairs,
            threshold,
            named,
            bands=band_numbers(bands),
            value_range=value_range,
            tile_px=tile,
            seed=seed,
            validation=validation,
            test=test,
            outline=cast('Literal["centres", "edges"] | None', outline and outline.value),
            void=cast('Literal["ignore", "background"] | None', void and void.value),
            reading=parse_reading(reading),
            ignore=parse_ignored(ignore or []),
            progress=ConsoleProgress(),
            bare_is_empty=no_mask_is_empty,
            left_out=LeftOut(skip_bad),
        )
        if layout == AUTO:
            typer.echo(f"{place}: layout {importer.name} ({importer.summary})")
        found = with_image_reading(importer(request), request, target, ConsoleProgress())
        found = _show_reading(found, target, dry_run)
        report = paint_found(found) if dry_run else PaintReport()
        if dry_run:
            print_painted(report, found.classes)
            for line in (*(f"Note: {one}" for one in report.lines()), *request.left_out.lines()):
                typer.echo(line)
            typer.echo("Nothing was imported: --dry-run")
            return
        # Before the temporary folder of an archive is gone.
        beside = _unused(found, importer.name == "folder")
        if add:
            dataset, notes = add_dataset(found, request, target, as_word(place), pairs_only, ConsoleProgress(), report)
            found = dataclasses.replace(found, notes=(*found.notes, *notes))
        else:
            dataset = import_dataset(found, request, target, replace, pairs_only, ConsoleProgress(), report)
    print_painted(report, found.classes)
    typer.echo(f"{target}: {counts(dataset)}")
    if dataset.card.image is not None:
        typer.echo(f"Images are read by {dataset.card.image} in dataset.yaml")
    _print_notes(found)
    _print_splits(dataset, found, place, added=add)
    for line in (
        *(f"Note: {one}" for one in report.lines()),
        *[f"Note: {beside}"] * bool(beside),
        *request.left_out.lines(),
    ):
        typer.echo(line)
    if output is None and enable and enable_domain(target.parent.parent / "params.yaml", domain):
        typer.echo(f"params.yaml: '{domain}' added to domains")
    typer.echo(f"Next: naslora data check {domain}, then naslora run --domain {domain}")


def _unused(found: "Found", plain: bool) -> str:
    from naslora_core.data.importers import unused_files

    files = (path for source in found.sources for path in (source.image, source.mask) if isinstance(path, Path))
    return unused_files(set(files), plain)


def _show_reading(found: "Found", target: Path, dry_run: bool) -> "Found":
    """Print how the masks are read, draw them into a contact sheet, and return `found` with it."""
    from naslora_core.data.importers.reading.read_masks import describe
    from pipelines.cli.data.reading import READINGS_FOLDER, print_reading, write_reading_sheet
    from stages.runner import ConsoleProgress

    if understood := describe(found, ConsoleProgress()):
        print_reading(understood)
        found = dataclasses.replace(found, understood=understood)
    if any(source.image is not None and source.mask is not None for source in found.sources):
        # Of a dry run, nothing may stay in the project.
        folder = Path(tempfile.mkdtemp(prefix="naslora-")) if dry_run else target.parent / READINGS_FOLDER
        sheet = write_reading_sheet(folder / f"{target.name}.jpg", found, target.name)
        typer.echo(f"Look at {sheet}: are these the objects?")
    if dry_run:
        _print_notes(found)
    return found


def _print_notes(found: "Found") -> None:
    """Print what the importer decided or left out."""
    for note in found.notes:
        typer.echo(f"Note: {note}")


def _print_splits(dataset: "Dataset", found: "Found", place: Path, added: bool) -> None:
    """Print what was drawn, is held back or has no partner."""
    from naslora_core.data.curation.quarantine_record import read_quarantine
    from naslora_core.data.dataset.empty_splits import explain_empty, explain_largest
    from naslora_core.data.dataset.splits import SPLITS
    from naslora_core.data.importers import missing_splits

    if not added and 0 < len(missing := missing_splits(found.sources)) < len(SPLITS):
        drawn = " and ".join(f"{len(dataset.of_split(split))} for {split}" for split in missing)
        typer.echo(f"Note: {drawn} were drawn from the training images: that part of the split is not published")
    splits, groups = ({pair.name: getattr(pair, field) for pair in dataset.pairs} for field in ("split", "group"))
    if why := explain_empty(splits, groups) or explain_largest(splits, groups):
        typer.echo(f"Note: {why}")
    if held := read_quarantine(dataset.root):
        typer.echo(
            f"Note: {len(held)} pairs stay in quarantine; naslora data restore {dataset.card.name} brings them back"
        )
    alone = [pair for pair in dataset.pairs if pair.image is None or pair.mask is None]
    if alone:
        typer.echo(
            f"Note: {len(alone)} files of {place} have no partner ({few(one.name for one in alone)}), which "
            "naslora data check will reject. Add the partners, or leave the files out, and import again: --replace, or "
            "--replace --pairs-only"
        )
