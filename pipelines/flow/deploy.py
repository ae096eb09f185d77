"""Deploy the flow: run it at intervals, by a calendar, when data has changed, or on request."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfoNotFoundError

from naslora_core.errors import PipelineError
from pipelines.flow.upstream import pull_upstream
from pipelines.flow.watch import watch

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
        schedules.append(CronSchedule(cron=triggers.cron, timezone=_local_timezone()))
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


def serve_project(root: Path, domains: Sequence[str], triggers: Triggers, say: Callable[[str], None]) -> None:
    """Serve the flow until the process is ended; its schedules stay active beyond that.

    Args:
        root: the project's folder.
        domains: which domains; none means all of params.yaml.
        triggers: what starts a run.
        say: gets a line about what is done.
    """
    from prefect import serve

    deployment = deployment_of(root, domains, triggers)
    # Registered before anybody watches: an event that nothing waits for yet would be lost.
    deployment.apply()
    if dropped := drop_late_runs(f"retrain/{root.name}"):
        say(f"{dropped} runs that nobody served at their time are left out; one run covers them all")
    if triggers.watch_s is not None:
        threading.Thread(target=watch_data, args=(root, triggers.watch_s, triggers.pull, say), daemon=True).start()
    # With its default, ending this process would switch the schedules off until somebody switches them on.
    serve(deployment, pause_on_shutdown=False, print_starting_message=False)


def watch_data(root: Path, every_s: float, pull: bool, say: Callable[[str], None]) -> None:
    """Watch the data, and send the server an event for every change; never returns.

    Args:
        root: the project's folder.
        every_s: seconds between two polls.
        pull: before each poll, pull the data that others have pushed.
        say: gets a line about what is done.
    """

    def tell(state: str) -> None:
        emit_change(root, state)
        say(f"data changed ({state[:8]}), told the server")

    watch(root, every_s, tell, partial(pull_upstream, root, say) if pull else lambda: None)


def drop_late_runs(name: str) -> int:
    """Cancel the runs of a deployment that should have started before now; returns how many."""
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
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
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
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound as error:
            raise PipelineError(f"nobody has served {name} yet; start naslora flows serve") from error
        return client.create_flow_run_from_deployment(deployment.id).name


def emit_change(root: Path, state: str) -> None:
    """Send the server the event that a project's data has changed.

    Raises:
        ConnectionError: if the server cannot be reached.
    """
    from prefect.client.orchestration import get_client
    from prefect.events import emit_event

    # Events are sent in the background and lost without a word if nobody listens.
    with get_client(sync_client=True) as client:
        if error := client.api_healthcheck():
            raise ConnectionError(f"no Prefect server at {client.api_url}: {error}")
    emit_event(DATA_CHANGED, resource={"prefect.resource.id": resource_of(root)}, payload={"state": state})


def resource_of(root: Path) -> str:
    """Return the resource name of a project in events."""
    return f"naslora.project.{root.name}"


def _local_timezone() -> str:
    """Return the IANA name of this machine's time zone, or UTC where it has none.

    Raises:
        PipelineError: if its settings name several.
    """
    from tzlocal import get_localzone_name

    try:
        return get_localzone_name() or "UTC"
    except ZoneInfoNotFoundError as error:
        raise PipelineError(f"this machine's time zone is not clear: {error.args[0]}") from error
