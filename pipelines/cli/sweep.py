"""`naslora flows sweep`: many trainings at once."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


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
    runner: Annotated[Runner, typer.Option(help="What spreads the jobs: this process, or a cluster.")] = Runner.THREADS,
    remote: Annotated[
        str | None,
        typer.Option(help="Address of the DVC remote that shares results.", show_default=".naslora/results"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Table of all scores.")] = Path("sweep.csv"),
) -> None:
    """Train domains x methods x seeds, each in a clone of its own, and write a table of test scores.

    Needs a clean commit, which is what the clones hold. What a sweep has computed before is not computed again.
    """
    from naslora_core.config import load_params
    from naslora_core.files import atomic_file
    from pipelines.flow.server import use_project_settings
    from pipelines.run.inputs import choose_domains, project_root

    root = project_root()
    params = load_params(root / "params.yaml")
    use_project_settings(root)
    import pandas as pd

    from pipelines.flow.sweep import jobs_of, run_sweep

    jobs = jobs_of(choose_domains(params, domain or ()), method or [params.adapter.method], seed or [params.seed])
    typer.echo(f"{len(jobs)} jobs, {workers} at a time")
    shared = remote or str(root / ".naslora" / "results")
    table = pd.DataFrame(run_sweep(root, jobs, shared, runner.value, workers))
    with atomic_file(out) as temporary:
        table.to_csv(temporary, index=False)
    typer.echo(table.groupby(["domain", "method"])["dice"].agg(["mean", "min", "max"]).round(3).to_string())
    typer.echo(
        f"Table: {out}\nNext: write the best setting into params.yaml; to take its outputs over without training, "
        f"dvc remote add --local --default results {shared}, then dvc repro --pull"
    )
