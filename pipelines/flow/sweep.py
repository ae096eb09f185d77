"""Sweeps: domains x methods x seeds, each trained in a clone of its own, on one machine or many."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from naslora_core.telemetry import turn_telemetry_off

turn_telemetry_off()

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed, State
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from naslora_core.errors import NasLoraError, PipelineError
from pipelines.flow.artifacts import publish_table
from pipelines.flow.clone import CloneSource
from pipelines.flow.connection import explain, explained, require_answer
from pipelines.flow.console import be_brief
from pipelines.flow.server import has_server
from pipelines.flow.sweep_job import SweepJob, domains_of_several, prepare_domain, run_job

# Also in the workers of a cluster, which import this module and nothing else of naslora.
be_brief()

RunnerName = Literal["threads", "dask", "ray"]
_CLUSTERS = {"dask": "DASK_SCHEDULER_ADDRESS", "ray": "RAY_ADDRESS"}


@dataclass(frozen=True)
class SweepOutcome:
    """What came of a sweep.

    Args:
        rows: by job that succeeded, in the order of the jobs, what `run_job` returns.
        failures: why the others did not, one message each, which begins with the job.
    """

    rows: list[dict[str, Any]]
    failures: list[str]


@task(cache_policy=NO_CACHE, task_run_name="{job}")
def train_and_measure(source: CloneSource, job: SweepJob, threads: int) -> "dict[str, Any] | State[Any]":
    """Run one job of a sweep; ends as Failed, with the reason in words, if it cannot be done."""
    try:
        return run_job(source, job, threads, get_run_logger().info)
    except (NasLoraError, OSError) as error:
        return Failed(message=str(error))


@task(cache_policy=NO_CACHE, task_run_name="prepare · {domain}")
def prepare(source: CloneSource, domain: str, threads: int) -> "State[Any]":
    """Run what all jobs on a domain have in common; ends as Failed, with the reason in words, if it cannot be done."""
    try:
        prepare_domain(source, domain, threads, get_run_logger().info)
    except (NasLoraError, OSError) as error:
        return Failed(message=str(error))
    return Completed(message=f"'{domain}' is prepared")


@flow(name="sweep", validate_parameters=False)
def sweep(source: CloneSource, jobs: list[SweepJob], threads: int, together: bool) -> "State[Any]":
    """Run all jobs and publish their scores; a failed job does not stop the others.

    Args:
        source: what they clone.
        jobs: what to train.
        threads: how many threads each of them computes with.
        together: whether several run at a time; what they have in common is computed before.

    Returns:
        A state with the `SweepOutcome`; it is Failed if a job has failed.
    """
    domains = domains_of_several(jobs) if together and source.shared else []
    prepared = [(domain, prepare.submit(source, domain, threads)) for domain in domains]
    refused = {domain: reason for domain, future in prepared if (reason := _failure(future))}
    submitted = [(job, train_and_measure.submit(source, job, threads)) for job in jobs if job.domain not in refused]
    failures = [f"{domain}: {reason}" for domain, reason in refused.items()]
    rows: list[dict[str, Any]] = []
    for job, future in submitted:
        if reason := _failure(future):
            failures.append(f"{job}: {reason}")
        else:
            rows.append(dict(future.result()))
    _publish(rows)
    outcome = SweepOutcome(rows, failures)
    if failures:
        return Failed(message=f"{len(jobs) - len(rows)} of {len(jobs)} jobs failed", data=outcome)
    return Completed(message=f"{len(jobs)} jobs", data=outcome)


def run_sweep(
    source: CloneSource, jobs: Sequence[SweepJob], runner: RunnerName, workers: int, threads: int
) -> SweepOutcome:
    """Run jobs.

    Args:
        source: the committed state of a project.
        jobs: what to train.
        runner: "threads" of this process, each driving processes of its own; or a cluster of "dask" or "ray",
            that of DASK_SCHEDULER_ADDRESS or RAY_ADDRESS if set, else a local one.
        workers: how many jobs at a time.
        threads: how many threads each of them computes with.

    Raises:
        PipelineError: if the runner is not installed, or the flow was cancelled or crashed.
        ServerError: if the user's Prefect server is not there, or not there any more.
    """
    if has_server():
        require_answer()
    be_brief()
    together = workers > 1 or cluster_address(runner) is not None
    run = sweep.with_options(task_runner=task_runner(runner, workers))
    with explained("What was finished is kept, and the same sweep again goes on from there"):
        state = run(source, list(jobs), threads, together, return_state=True)
        outcome = state.result(raise_on_failure=False)
    if not isinstance(outcome, SweepOutcome):
        raise PipelineError(f"the sweep ended as {state.name}: {state.message}; start it again")
    return outcome


def cluster_address(runner: RunnerName) -> str | None:
    """Return the address of the user's cluster; None if jobs run on this machine."""
    return os.environ.get(_CLUSTERS[runner]) if runner in _CLUSTERS else None


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


def _publish(rows: Sequence[dict[str, Any]]) -> None:
    """Publish the scores; if the server is away, the sweep goes on without."""
    try:
        publish_table(rows, key="sweep", description="Scores on the test images")
    except Exception as error:
        if not explain(error):
            raise
        get_run_logger().warning("%s; this sweep goes on without it", explain(error))


def _failure(future: PrefectFuture[Any]) -> str | None:
    """Wait for a task and return why it failed; None if it did not."""
    future.wait()
    state = future.state
    return None if state.is_completed() else state.message or state.name


def _dask(workers: int) -> TaskRunner[Any]:
    from prefect_dask import DaskTaskRunner

    if address := cluster_address("dask"):
        return DaskTaskRunner(address=address)
    local = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=local)


def _ray(workers: int) -> TaskRunner[Any]:
    from prefect_ray import RayTaskRunner

    if address := cluster_address("ray"):
        return RayTaskRunner(address=address)
    return RayTaskRunner(init_kwargs={"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"})
