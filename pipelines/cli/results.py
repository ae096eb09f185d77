"""`naslora results`: send what stages have computed to a DVC remote, and take it from there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    from pipelines.dvc.results import Pulled, Pushed

results_app = typer.Typer(
    help="Share what stages have computed, so that no checkout computes it again.", no_args_is_help=True
)
Remote = Annotated[str | None, typer.Option(help="Which DVC remote.", show_default="the default remote")]
Wait = Annotated[float, typer.Option(min=0, help="Longest wait for a run to end, in seconds.")]


@results_app.command(epilog="Example: naslora results push")
def push(
    remote: Remote = None,
    check_all: Annotated[
        bool,
        typer.Option(
            "--check-all", help="Look for the files of old results on the remote, too: after dvc gc --cloud, for one."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Send all results that the remote lacks: of every stage, for all settings and data that were ever run here.

    Data and registered models travel with dvc push.
    """
    from pipelines.dvc.results import push_results
    from pipelines.run.inputs import shared_project

    pushed = push_results(shared_project(typer.echo), remote, check_all)
    _print_pushed(pushed)
    print_result(pushed)


@results_app.command(epilog="Example: naslora results pull --domain leaf_lesions")
def pull(
    domain: Annotated[str | None, typer.Option(help="Only this domain, and the report.", show_default="all")] = None,
    remote: Remote = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Fetch the files of all other results, too, for runs without the remote.")
    ] = False,
    wait: Wait = 60,
    as_json: Json = False,
) -> None:
    """Bring the results that dvc.lock records and this checkout lacks, as after git clone. Nothing is run.

    Arrays, adapters, merged models, pictures and the report come as they were computed where dvc.lock was committed.
    """
    from pipelines.dvc.results import pull_results
    from pipelines.run.inputs import choose_domains, shared_project
    from pipelines.run.lock import exclusive

    root = shared_project(typer.echo)
    if domain is not None:
        from naslora_core.config import load_params

        choose_domains(load_params(root / "params.yaml"), [domain])
    with exclusive(root, wait, typer.echo):
        pulled = pull_results(root, remote, domain, everything)
    _print_pulled(root, pulled)
    print_result(pulled)
    if pulled.lost:
        raise typer.Exit(1)


def _print_pushed(pushed: "Pushed") -> None:
    typer.echo(
        f"Sent to remote '{pushed.remote}': {_count(pushed.results, 'result')} of stages, "
        f"{_count(pushed.files, 'file')}; {pushed.there} were there before."
    )
    if pushed.incomplete:
        typer.echo(
            f"Left out: {_count(pushed.incomplete, 'result')} of earlier runs, whose files are no longer in DVC's "
            "cache (dvc gc removes them); a run computes them again when they are wanted."
        )
    if pushed.unkept:
        typer.echo(f"Not in DVC's cache, although dvc.lock records them: {', '.join(pushed.unkept)}.")
        typer.echo("  To compute and keep them again: naslora run --force")
    typer.echo("Next: in another checkout, git pull, then naslora results pull, or naslora run to go on from there")


def _print_pulled(root: Path, pulled: "Pulled") -> None:
    typer.echo(
        f"Remote '{pulled.remote}': {_count(pulled.results, 'new result')} of stages, {_count(pulled.files, 'file')}."
    )
    if pulled.restored:
        typer.echo(f"In place, as dvc.lock records them: {', '.join(pulled.restored)}")
    if pulled.differing:
        typer.echo(f"Left alone, as some files are others than dvc.lock records: {', '.join(pulled.differing)}")
        typer.echo("  naslora run brings them up to date")
    if pulled.lost:
        typer.echo(f"Neither here nor on the remote: {', '.join(pulled.lost)}")
        typer.echo("  where they were computed: naslora results push; or compute them here: dvc repro")
    if not (pulled.restored or pulled.differing or pulled.lost):
        recorded = (root / "dvc.lock").is_file()
        typer.echo("All results that dvc.lock records are in place." if recorded else "There is no dvc.lock yet.")
    page = root / "artifacts" / "report" / "index.html"
    typer.echo(f"Next: open {page}" if page.is_file() and not pulled.lost else "Next: naslora run")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
