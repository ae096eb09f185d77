"""Deploy the flow: run it at intervals, by a calendar, when data has changed, or on request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from naslora_core.errors import PipelineError
from pipelines.flow.clock import local_timezone
from pipelines.flow.connection import explained, require_answer

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

DATA_CHANGED = "naslora.data.changed"


@dataclass(frozen=True)
class Triggers:
    """The automatic triggers of a run.

    Args:
        every_s: seconds between two runs; None for no interval.
        cron: a line of five fields in the calendar of this machine; None for none.
        watch_s: seconds between two polls of the data; None to not watch.
        pull: before each poll, pull the data that others have pushed.
    """

    every_s: float | None
    cron: str | None
    watch_s: float | None
    pull: bool = False


def deployment_of(root: Path, domains: Sequence[str], triggers: Triggers) -> "RunnerDeployment":
    """Build the deployment retrain/<folder>, to be served or registered.

    Runs may start while another one works: the flow itself sees to it that one works and at most one waits, which
    survives a killed process; a concurrency limit of Prefect's would keep a dead run's place for minutes.
    """
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
    from prefect.deployments.runner import EntrypointType, RunnerDeployment
    from prefect.events import DeploymentEventTrigger

    from pipelines.flow.retrain import retrain

    schedules: list[Any] = []
    if triggers.every_s is not None:
        schedules.append(IntervalSchedule(interval=timedelta(seconds=triggers.every_s)))
    if triggers.cron is not None:
        schedules.append(CronSchedule(cron=triggers.cron, timezone=local_timezone()))
    event = DeploymentEventTrigger(
        name=f"data of {root.name} changed",
        expect={DATA_CHANGED},
        match={"prefect.resource.id": resource_of(root)},
    )
    return RunnerDeployment.from_flow(
        retrain,
        root.name,
        schedules=schedules or None,
        parameters={"root": str(root), "domains": list(domains)},
        triggers=[event] if triggers.watch_s is not None else [],
        description="Retrain the domains whose data has changed; promote what is better.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def drop_late_runs(name: str) -> int:
    """Cancel the runs of a deployment that should have started before now; returns how many.

    Those count too that a process took on (pending) and was ended before it had started them: nobody else would.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterDeploymentId,
        FlowRunFilterExpectedStartTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled

    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            return 0
        waiting = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING])),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(timezone.utc)),  # type: ignore[arg-type]
        )
        late = client.read_flow_runs(flow_run_filter=waiting)
        for run in late:
            client.set_flow_run_state(run.id, Cancelled(message="not served at its time"), force=True)
        return len(late)


def trigger_now(name: str) -> str:
    """Start a run of a deployment now; return the name of the run.

    Raises:
        PipelineError: if nobody has served it yet.
        ServerError: if no server answers.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    require_answer()
    with explained(), get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound as error:
            raise PipelineError(f"nobody has served {name} yet; start naslora flows serve") from error
        return client.create_flow_run_from_deployment(deployment.id).name


def resource_of(root: Path) -> str:
    """Return the resource name of a project in events."""
    return f"naslora.project.{root.name}"
