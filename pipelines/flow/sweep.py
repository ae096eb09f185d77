"""Sweeps: domains x methods x seeds, each trained in a clone of its own, on one machine or many."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

from naslora_core.telemetry import turn_telemetry_off

turn_telemetry_off()

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from naslora_core.errors import PipelineError
from pipelines.flow.clone import CloneSource, compute, make_clone, source_of
from stages.paths import StagePaths

RunnerName = Literal["threads", "dask", "ray"]


@dataclass(frozen=True)
class SweepJob:
    """One training: a domain, a method of adapter.method, and a seed."""

    domain: str
    method: str
    seed: int

    def settings(self) -> dict[str, Any]:
        """Return what the job changes in params.yaml."""
        return {"domains": [self.domain], "adapter.method": self.method, "seed": self.seed}


def jobs_of(domains: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> list[SweepJob]:
    """Return every combination."""
    return [SweepJob(*one) for one in product(domains, methods, seeds)]


def run_job(source: CloneSource, job: SweepJob, say: Callable[[str], None]) -> dict[str, Any]:
    """Train and evaluate in a temporary clone; its results are pushed to the remote of `source`.

    Returns:
        The job, its seconds, and the merged model's means over the test images.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="naslora-") as scratch:
        folder = Path(scratch) / "project"
        make_clone(source, folder, job.settings())
        compute(folder, job.domain, say)
        scores = json.loads((StagePaths(folder).output("evaluate", job.domain) / "metrics.json").read_text("utf-8"))
    return asdict(job) | {"seconds": round(time.monotonic() - begin, 1)} | scores["merged"]


@task(cache_policy=NO_CACHE, task_run_name="{job.domain} · {job.method} · seed {job.seed}")
def train_and_measure(source: CloneSource, job: SweepJob) -> dict[str, Any]:
    """Run one job of a sweep as a Prefect task."""
    return run_job(source, job, get_run_logger().info)


@flow(name="sweep", validate_parameters=False)
def sweep(source: CloneSource, jobs: list[SweepJob]) -> list[dict[str, Any]]:
    """Run all jobs and publish their scores; a failed job does not stop the others.

    Raises:
        PipelineError: after all others are done, if a job failed.
    """
    futures = [train_and_measure.submit(source, job) for job in jobs]
    results = [future.result(raise_on_failure=False) for future in futures]
    rows = [row for row in results if isinstance(row, dict)]
    create_table_artifact(rows, key="sweep", description="Scores on the test images")
    failed = [f"{job}: {row}" for job, row in zip(jobs, results, strict=True) if not isinstance(row, dict)]
    if failed:
        raise PipelineError("\n".join(failed))
    return rows


def run_sweep(root: Path, jobs: list[SweepJob], remote: str, runner: RunnerName, workers: int) -> list[dict[str, Any]]:
    """Run jobs on the committed state of a project.

    Args:
        root: the project's folder.
        jobs: what to train.
        remote: address of the DVC remote through which workers share results.
        runner: "threads" of this process, each driving processes of its own; or a cluster of "dask" or "ray",
            that of DASK_SCHEDULER_ADDRESS or RAY_ADDRESS if set, else a local one.
        workers: how many jobs at a time.

    Raises:
        PipelineError: if a job fails, the project has uncommitted changes, or the runner is not installed.
    """
    return sweep.with_options(task_runner=task_runner(runner, workers))(source_of(root, remote), jobs)


def task_runner(name: RunnerName, workers: int) -> TaskRunner[Any]:
    """Return the Prefect task runner for a name.

    Raises:
        PipelineError: if it is not installed; names the command.
    """
    if name == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    try:
        return _dask(workers) if name == "dask" else _ray(workers)
    except ImportError as error:
        raise PipelineError(f"{name} is not installed ({error}); pip install 'naslora[{name}]'") from error


def _dask(workers: int) -> TaskRunner[Any]:
    from prefect_dask import DaskTaskRunner

    if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
        return DaskTaskRunner(address=address)
    local = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=local)


def _ray(workers: int) -> TaskRunner[Any]:
    from prefect_ray import RayTaskRunner

    if address := os.environ.get("RAY_ADDRESS"):
        return RayTaskRunner(address=address)
    return RayTaskRunner(init_kwargs={"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"})
