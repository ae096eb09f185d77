"""`naslora data quarantine` and `restore`: move pairs out of the data, and back."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from naslora_core.quality.verdict import Verdict


def quarantine(
    domain: Annotated[str, typer.Argument(help="Which domain.")],
    files: Annotated[
        list[str] | None, typer.Argument(help="Which pairs: names, or a file of each, as images/x.jpg.")
    ] = None,
    failing: Annotated[
        bool, typer.Option("--failing", help="Every pair with a file that the gate rejects the data for.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Goes into the record.")] = "set aside by hand",
) -> None:
    """Move pairs to data/DOMAIN/quarantine, where no stage sees them; naslora data restore undoes it."""
    from datetime import date

    from naslora_core.data.curation.quarantine import names_of
    from naslora_core.data.curation.quarantine import quarantine as set_aside
    from naslora_core.data.curation.quarantine_record import QUARANTINE_FOLDER, RECORD_FILE, finish_interrupted
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.errors import ConfigError, DataError
    from pipelines.cli.data.check import judge
    from pipelines.cli.data.domains import find_domain
    from stages.paths import StagePaths

    if bool(files) == failing:
        raise ConfigError("give the files to set aside, or --failing for all that the gate rejects")
    root = find_domain(domain)
    finish_interrupted(root)
    if failing:
        verdict = judge(StagePaths(root.parents[1]), domain)
        if isinstance(verdict, DataError):
            raise verdict
        reasons = failing_pairs(verdict)
    else:
        reasons = dict.fromkeys(names_of(read_dataset(root), files or ()), reason)
    if not reasons:
        typer.echo(f"No file of {domain} fails the gate; nothing was moved.")
        typer.echo(f"Next: naslora run --domain {domain}")
        return
    for one in set_aside(root, reasons, date.today()):
        typer.echo(f"{one.name} ({one.split}): {one.reason}")
    typer.echo(f"{len(reasons)} pairs set aside, on record in {root / QUARANTINE_FOLDER / RECORD_FILE}")
    typer.echo(f"Next: naslora data check {domain}; naslora data restore {domain} --all brings them back")


def restore(
    domain: Annotated[str, typer.Argument(help="Which domain.")],
    files: Annotated[list[str] | None, typer.Argument(help="Which pairs: names, or a file of each.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is in quarantine.")] = False,
) -> None:
    """Bring pairs back from quarantine, into the split and the group they had."""
    from naslora_core.data.curation.quarantine import names_of
    from naslora_core.data.curation.quarantine import restore as bring_back
    from naslora_core.data.dataset.dataset import read_dataset
    from naslora_core.errors import ConfigError
    from pipelines.cli.data.domains import find_domain

    if bool(files) == everything:
        raise ConfigError("give the files to bring back, or --all")
    root = find_domain(domain)
    restored = bring_back(root, None if everything else names_of(read_dataset(root), files or ()))
    for one in restored:
        typer.echo(f"{one.name} ({one.split}), set aside {one.date}: {one.reason}")
    typer.echo(f"{len(restored)} pairs are back in {root}")
    typer.echo(f"Next: naslora data check {domain}")


def failing_pairs(verdict: "Verdict") -> dict[str, str]:
    """Return the reason by name for every pair with a file that a critical check names."""
    from pathlib import PurePosixPath

    reasons: dict[str, str] = {}
    for failure in verdict.of_severity("critical"):
        for entry in failure.files:
            reasons.setdefault(PurePosixPath(entry.file).stem, entry.problem)
    return reasons
