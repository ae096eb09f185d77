"""`naslora run`: the pipeline, from changed data to models in service."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from naslora_core.errors import PipelineError
from pipelines.cli.output import Json, print_result


def run(
    domain: Annotated[
        list[str] | None,
        typer.Option(help="Only this domain; may be given several times.", show_default="all"),
    ] = None,
    force: Annotated[bool, typer.Option(help="Run every stage, even if nothing has changed.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Longest wait for another run to end, in seconds.")] = 60,
    as_json: Json = False,
) -> None:
    """Run what has changed: check the data, train, merge, evaluate, put better models into service."""
    from naslora_core.report.headline import format_headline
    from pipelines.dvc.repro_output import draw_progress
    from pipelines.run.inputs import project_root
    from pipelines.run.reproduce import reproduce
    from pipelines.run.steps import Request
    from stages.console import INTERVAL_VARIABLE, ConsoleProgress

    root = project_root()
    progress = ConsoleProgress()
    say: Callable[[str], None] = typer.echo
    if progress.is_live:
        # Stages print lines, as dvc is between them and the terminal; bars are drawn of these, so they come often.
        os.environ.setdefault(INTERVAL_VARIABLE, "1")
        say = draw_progress(progress, typer.echo)
    request = Request(root, tuple(domain or ()), force, wait, say, progress)
    signal.signal(signal.SIGTERM, _leave)
    try:
        outcome = reproduce(request)
    except KeyboardInterrupt as error:
        raise PipelineError("interrupted; naslora run goes on with the stage that was stopped") from error
    done = f"\nRan: {', '.join(outcome.rerun)}" if outcome.rerun else "Nothing has changed, nothing was run."
    typer.echo(done)
    if outcome.promoted or outcome.restored:
        typer.echo(f"In service, in {root / 'serving'}: {', '.join(sorted({*outcome.promoted, *outcome.restored}))}")
    for kept in (decision for decision in outcome.decisions if not decision.promoted):
        typer.echo(f"Kept out of service: {kept.domain} version {kept.version.number}, {kept.reason}")
        typer.echo(f"  to use it all the same: naslora models promote {kept.domain} {kept.version.number}")
    if outcome.headline:
        typer.echo("\n" + format_headline(outcome.headline))
    if outcome.missing:
        _tell_missing(outcome.missing)
    if outcome.report.is_file() and "report" not in outcome.missing:
        typer.echo(f"\nReport: {outcome.report}")
    if outcome.to_commit:
        _tell_what_to_commit(root, outcome.to_commit)
    if outcome.headline:
        typer.echo(f"Next: naslora predict <images> --domain {outcome.headline[0].domain} --out masks")
    print_result(outcome)


def _tell_missing(stages: Sequence[str]) -> None:
    """Say which results are not in this checkout, and how they come here."""
    domains = dict.fromkeys(domain for _, _, domain in (stage.partition("@") for stage in stages) if domain)
    parts = [f"results of {', '.join(domains)}"] * bool(domains) + ["the report"] * ("report" in stages)
    typer.echo(f"\nNot in this checkout, as another one made them: {'; '.join(parts)}")
    typer.echo("  fetch them: naslora results pull; or compute them again: naslora run --force")


def _tell_what_to_commit(root: Path, files: Sequence[str]) -> None:
    """Print the commands that keep what a run was made from, and what it has made."""
    from pipelines.run.to_commit import stored_in_repository

    here = [os.path.relpath(root / file) for file in files]
    typer.echo(f"\nTo keep it: git add {shlex.join(here)}")
    typer.echo('            git commit -m "Train on the present data and settings"')
    if inside := stored_in_repository(root):
        typer.echo(
            f"            then dvc push, once you have a DVC remote of your own: the present one, {inside}, lies in "
            "this git repository, which would grow with every version (docs/teams.md)"
        )
    else:
        typer.echo("            dvc push")


def _leave(signum: int, frame: FrameType | None) -> None:
    # Leave through the exception handlers, which end dvc and the stage it runs.
    sys.exit(128 + signum)
