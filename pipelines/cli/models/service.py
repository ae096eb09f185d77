"""`naslora models promote`, `rollback` and `withdraw`: choose which version serves."""

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from pipelines.cli.models.shared import DomainArgument, Reason, Wait, known_record, model_registry
from pipelines.cli.output import Json, print_result


def promote(
    domain: DomainArgument,
    version: Annotated[int | None, typer.Argument(min=1, help="Which version.", show_default="the newest")] = None,
    reason: Reason = "by hand",
    wait: Wait = 60,
    as_json: Json = False,
) -> None:
    """Put a version into service, whatever the comparison has said."""
    newest = known_record(model_registry(), domain).versions[-1].number
    _put_into_service(domain, lambda: version or newest, "promoted", reason, wait)


def rollback(
    domain: DomainArgument,
    to: Annotated[int | None, typer.Option(min=1, help="Which version.", show_default="the one before")] = None,
    reason: Reason = "by hand",
    wait: Wait = 60,
    as_json: Json = False,
) -> None:
    """Put the model back into service that was there before; twice goes further back."""
    from pipelines.models.history import require_previous

    # What was there before is read in turn: the run that is waited for may promote a model.
    _put_into_service(
        domain, lambda: to or require_previous(known_record(model_registry(), domain)), "rolled back", reason, wait
    )


def withdraw(domain: DomainArgument, reason: Reason = "by hand", wait: Wait = 60, as_json: Json = False) -> None:
    """Take the model out of service, with none in its place; the next new model is compared with none.

    For a model whose files are lost, or that must not be used at all. Its record stays.
    """
    from pipelines.models.promote import withdraw as take_out
    from pipelines.run.inputs import project_root
    from pipelines.run.lock import exclusive

    root = project_root()
    with exclusive(root, wait, typer.echo):
        known_record(model_registry(), domain)
        number = take_out(root, domain, reason)
    typer.echo(f"Out of service for {domain}: version {number}; none serves now")
    typer.echo(f"Next: to share the decision, commit registry/; for a model: naslora run --domain {domain} --force")
    print_result({"domain": domain, "serving": None, "withdrawn": number})


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
    record, folder = model_registry().read(domain), root / "serving" / domain
    typer.echo(f"In service for {domain}: version {record.serving}, in {folder}")
    typer.echo("Next: to share the decision, commit registry/; to use it: naslora predict <images> --domain " + domain)
    print_result({"domain": domain, "serving": record.serving, "folder": folder})
