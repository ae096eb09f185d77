"""`naslora models`: list model versions, and promote or roll back the one in service."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from pipelines.models.registry import ModelRegistry, ModelVersion, Record

models_app = typer.Typer(
    help="List every model a domain has had, and choose which one serves; needs no training.", no_args_is_help=True
)
Domain = Annotated[str, typer.Argument(help="Which domain's models.")]
Reason = Annotated[str, typer.Option(help="Why; is kept in the registry.")]
Wait = Annotated[float, typer.Option(min=0, help="Longest wait for a run to end, in seconds.")]


@models_app.command("list", epilog="Example: naslora models list leaf_lesions")
def list_(
    domain: Annotated[str | None, typer.Argument(help="Only this domain.", show_default="all")] = None,
    as_json: Json = False,
) -> None:
    """Show every version of every domain; * marks the one in service."""
    registry = _registry()
    records = {name: _known(registry, name) for name in ([domain] if domain else registry.domains())}
    rows: list[tuple[str, ...]] = [("", "domain", "version", "made (UTC)", "Dice", "pairs", "data", "code")]
    for name, record in records.items():
        for version in record.versions:
            sign = "*" if version.number == record.serving else ""
            rows.append((sign, name, str(version.number), *_cells(version)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(rows) == 1:
        typer.echo("No model yet.\nNext: naslora run")
    else:
        typer.echo(f"Next: naslora models show {rows[-1][1]}")
    print_result(records)


@models_app.command(epilog="Example: naslora models show leaf_lesions 2")
def show(
    domain: Domain,
    version: Annotated[int | None, typer.Argument(min=1, help="Which version.", show_default="in service")] = None,
    as_json: Json = False,
) -> None:
    """Show what a model was made from, what it scores, and every decision about the domain."""
    from pipelines.models.registry import difference

    record = _known(_registry(), domain)
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


@models_app.command(epilog='Example: naslora models promote leaf_lesions 4 --reason "checked by eye"')
def promote(
    domain: Domain,
    version: Annotated[int | None, typer.Argument(min=1, help="Which version.", show_default="the newest")] = None,
    reason: Reason = "by hand",
    wait: Wait = 60,
    as_json: Json = False,
) -> None:
    """Put a version into service, whatever the comparison has said."""
    newest = _known(_registry(), domain).versions[-1].number
    _put_into_service(domain, lambda: version or newest, "promoted", reason, wait)


@models_app.command(epilog="Example: naslora models rollback leaf_lesions")
def rollback(
    domain: Domain,
    to: Annotated[int | None, typer.Option(min=1, help="Which version.", show_default="the one before")] = None,
    reason: Reason = "by hand",
    wait: Wait = 60,
    as_json: Json = False,
) -> None:
    """Put the model back into service that was there before; twice goes further back."""
    from pipelines.models.promote import previous_in_service

    # What was there before is read in turn: the run that is waited for may promote a model.
    _put_into_service(
        domain, lambda: to or previous_in_service(_known(_registry(), domain)), "rolled back", reason, wait
    )


def _put_into_service(
    domain: str, choose: Callable[[], int], action: Literal["promoted", "rolled back"], reason: str, wait_s: float
) -> None:
    """Put the chosen version into service when no run is in progress, and print the result."""
    from pipelines.models.promote import put_into_service
    from pipelines.run.inputs import project_root
    from pipelines.run.lock import exclusive

    root = project_root()
    with exclusive(root, wait_s, typer.echo):
        put_into_service(root, domain, choose(), action, reason)
    record, folder = _registry().read(domain), root / "serving" / domain
    typer.echo(f"In service for {domain}: version {record.serving}, in {folder}")
    typer.echo("Next: to share the decision, commit registry/; to use it: naslora predict <images> --domain " + domain)
    print_result({"domain": domain, "serving": record.serving, "folder": folder})


def _registry() -> "ModelRegistry":
    from pipelines.models.registry import ModelRegistry
    from pipelines.run.inputs import project_root

    return ModelRegistry(project_root())


def _known(registry: "ModelRegistry", domain: str) -> "Record":
    from naslora_core.errors import ConfigError

    record = registry.read(domain)
    if not record.versions:
        known = ", ".join(registry.domains()) or "none yet"
        raise ConfigError(f"'{domain}' has no model; domains with one: {known}. Start naslora run --domain {domain}")
    return record


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
