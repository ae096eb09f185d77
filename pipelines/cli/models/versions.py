"""`naslora models list` and `show`."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.models.shared import DomainArgument, SomeDomain, known_record, model_registry
from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from pipelines.models.registry import ModelVersion


def list_(domain: SomeDomain = None, as_json: Json = False) -> None:
    """Show every version of every domain, and whether its files are here; * marks the one in service."""
    from pipelines.models.version_files import Place, place

    registry = model_registry()
    records = {name: known_record(registry, name) for name in ([domain] if domain else registry.domains())}
    rows: list[tuple[str, ...]] = [("", "domain", "version", "made (UTC)", "Dice", "pairs", "data", "code", "files")]
    places: dict[str, dict[int, Place]] = {}
    for name, record in records.items():
        places[name] = {version.number: place(registry, name, version) for version in record.versions}
        for version in record.versions:
            sign = "*" if version.number == record.serving else ""
            rows.append((sign, name, str(version.number), *_cells(version), places[name][version.number].value))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(rows) == 1:
        typer.echo("No model yet.\nNext: naslora run")
    elif any(places[name].get(record.serving or 0, Place.HERE) is not Place.HERE for name, record in records.items()):
        typer.echo("Next: naslora models pull")
    else:
        typer.echo(f"Next: naslora models show {rows[-1][1]}")
    files = {name: {str(number): one.value for number, one in known.items()} for name, known in places.items()}
    print_result({name: record.model_dump(mode="json") | {"files": files[name]} for name, record in records.items()})


def show(
    domain: DomainArgument,
    version: Annotated[int | None, typer.Argument(min=1, help="Which version.", show_default="in service")] = None,
    as_json: Json = False,
) -> None:
    """Show what a model was made from, what it scores, and every decision about the domain."""
    from pipelines.models.registry import difference

    record = known_record(model_registry(), domain)
    chosen = record.version(version or record.serving or record.versions[-1].number)
    state = "in service" if chosen.number == record.serving else "not in service"
    typer.echo(f"{domain} version {chosen.number}, {state}, made {chosen.created}")
    for line in _description(chosen):
        typer.echo(f"  {line}")
    earlier = [other for other in record.versions if other.number < chosen.number]
    if earlier and (changed := difference(earlier[-1].params, chosen.params)):
        typer.echo(f"  other settings than version {earlier[-1].number}: {'; '.join(changed)}")
    typer.echo("Decisions:")
    for event in record.events:
        typer.echo(f"  {event.time}  version {event.version} {event.action}: {event.reason}")
    typer.echo(f"Next: naslora models rollback {domain}, or naslora models promote {domain} <version>")
    print_result({"version": chosen, "serving": record.serving, "events": record.events})


def _cells(version: "ModelVersion") -> tuple[str, ...]:
    pairs = str(sum(version.data["pairs"].values()))
    return version.created[:16], f"{version.metrics['dice']:.3f}", pairs, version.data["sha256"][:8], version.code[:8]


def _description(version: "ModelVersion") -> list[str]:
    pairs = ", ".join(f"{count} {split}" for split, count in version.data["pairs"].items())
    base = version.base
    return [
        f"data         {pairs}; SHA-256 {version.data['sha256'][:12]}; data.dvc {version.data['data.dvc']}",
        f"code         {version.code}",
        f"base         {base['name']} at {base['image_size']} px, SHA-256 {base['sha256'][:12]}",
        f"seeds        {', '.join(map(str, version.seeds))}",
        f"merge        {version.certificate['mode']}: {version.certificate['reason']}",
        f"test scores  {', '.join(f'{name} {value:.3f}' for name, value in version.metrics.items())}",
        f"training     {', '.join(f'{name} {value}' for name, value in version.training.items())}",
    ]
