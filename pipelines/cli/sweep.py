"""`naslora flows sweep`: many trainings at once."""

import signal
import sys
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.output import Json, print_result

if TYPE_CHECKING:
    import pandas as pd


class Runner(str, Enum):
    """The task runner that distributes the jobs."""

    THREADS = "threads"
    DASK = "dask"
    RAY = "ray"


def sweep(
    domain: Annotated[list[str] | None, typer.Option(help="Which domains.", show_default="all")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Which values of adapter.method.", show_default="that of params.yaml")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Which seeds.", show_default="that of params.yaml")] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many jobs at a time.")] = 1,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that each job computes with.", show_default="cores / workers; clusters: 1"),
    ] = None,
    runner: Annotated[Runner, typer.Option(help="What spreads the jobs: this process, or a cluster.")] = Runner.THREADS,
    remote: Annotated[
        str | None,
        typer.Option(
            help="For a cluster of other machines: name or address of the DVC remote through which they share inputs "
            "and results. On this machine jobs share the project's DVC cache.",
            show_default="the default remote",
        ),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            help="For a cluster of other machines: where they clone the project's repository from.",
            show_default="this folder, on a disk that they share",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Table of all scores.")] = Path("sweep.csv"),
    as_json: Json = False,
) -> None:
    """Train domains x methods x seeds, each in a clone of its own, and write a table of test scores, best first.

    Clones hold the last commit and what DVC tracks; whatever they would lack is named before anything starts. What has
    been computed before is not computed again.
    """
    from dataclasses import replace

    from naslora_core.config import load_params
    from naslora_core.errors import ConfigError, PipelineError
    from naslora_core.files import atomic_file
    from pipelines.flow.clone import source_of
    from pipelines.flow.server import use_project_settings
    from pipelines.flow.sweep_job import default_threads, jobs_of
    from pipelines.run.inputs import choose_domains, project_root

    root = project_root()
    params = load_params(root / "params.yaml")
    domains = choose_domains(params, domain or ())
    jobs = jobs_of(domains, method or [params.adapter.method], seed or [params.seed])
    use_project_settings(root)
    from pipelines.flow.sweep import cluster_address, run_sweep

    cluster = cluster_address(runner.value)
    if cluster is None and (remote or repository):
        raise ConfigError(
            "--remote and --repository are for clusters of other machines; on this one jobs share the project's DVC "
            "cache. To give their results to others afterwards: naslora results push"
        )
    source = source_of(root, domains, remote, far=cluster is not None)
    if repository:
        source = replace(source, place=replace(source.place, repository=repository))
    each = threads or (1 if cluster else default_threads(workers))
    where = f"on the cluster at {cluster}" if cluster else f"{workers} at a time"
    typer.echo(f"{_count(len(jobs), 'job')}, {where}, {_count(each, 'thread')} each; starting Prefect …")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        outcome = run_sweep(source, jobs, runner.value, workers, each)
    except KeyboardInterrupt as error:
        raise PipelineError("interrupted; the same sweep again finds what is done and computes the rest") from error
    if outcome.rows:
        rows = sorted(outcome.rows, key=lambda row: (domains.index(row["domain"]), -row["dice"]))
        import pandas as pd

        table = pd.DataFrame(rows)
        with atomic_file(out) as temporary:
            table.to_csv(temporary, index=False)
        trained = sum(row["trained"] for row in rows)
        typer.echo(f"\n{_count(trained, 'job')} trained, {len(rows) - trained} found\n")
        typer.echo(_format(table))
        best = _best(table)
        fetch = None if source.remote is None else source.remote.name
        typer.echo(f"\nTable: {out}\n{_next_step(best, list(dict.fromkeys(table['domain'])), fetch)}")
        print_result({"jobs": rows, "best": best, "failed": outcome.failures, "table": out})
    if outcome.failures:
        raise PipelineError("\n".join(outcome.failures))


def _stop(signum: int, frame: FrameType | None) -> None:
    """Leave through the exception handlers; threads that wait for a training end only when that has ended."""
    from pipelines.dvc.command import end_all

    end_all()
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + signum)


def _format(table: "pd.DataFrame") -> str:
    shown = table[["domain", "method", "seed", "dice", "iou", "seconds", "trained"]]
    return shown.round({"dice": 3, "iou": 3}).to_string(index=False)


def _best(table: "pd.DataFrame") -> dict[str, Any]:
    """Return the settings with the highest mean Dice over the domains, of those that ran on most of them."""
    found = table.groupby(["method", "seed"])["dice"].agg(["count", "mean"]).sort_values(["count", "mean"])
    method, seed = found.index[-1]
    return {"adapter.method": str(method), "seed": int(seed)}


def _next_step(best: dict[str, Any], domains: list[str], remote: str | None) -> str:
    over = "" if len(domains) == 1 else ", by the mean over the domains"
    lines = [f"Next: take the best over{over}. In params.yaml set"]
    lines += [f"  {key}: {value}" for key, value in best.items()]
    fetch = "" if remote is None else f"naslora results pull --remote {remote} --all && "
    wanted = " ".join(f"--domain {domain}" for domain in domains)
    lines += [f"then: {fetch}naslora run {wanted}   # finds these results and trains nothing"]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
