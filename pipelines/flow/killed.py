"""End the flow runs whose process was killed: nobody else would, and they would be running for ever."""

import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_MESSAGE = "its process was killed; the next run goes on with the stage that was stopped"


@contextmanager
def recorded(root: Path, run: str) -> Iterator[None]:
    """Record a flow run in the project as long as it works.

    The record is locked by its process, and a lock ends with the process, however that ends.

    Args:
        root: the project's folder.
        run: the id of the flow run.
    """
    path = _folder(root) / f"{run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname()}))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def end_killed_runs(root: Path) -> int:
    """End as Crashed what processes of this machine have left unfinished in a project; returns how many runs.

    Runs of living processes hold their record, and those of other machines are left to them.

    Args:
        root: the project's folder.
    """
    killed = [path for path in sorted(_folder(root).glob("*.json")) if _is_left(path)]
    if not killed:
        return 0
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return sum([_end(client, path) for path in killed])


def _is_left(path: Path) -> bool:
    with suppress(OSError, ValueError), path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return bool(json.loads(file.read())["host"] == socket.gethostname())
    return False


def _end(client: "SyncPrefectClient", path: Path) -> bool:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        TaskRunFilter,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    run = UUID(path.stem)
    try:
        state = client.read_flow_run(run).state
    except ObjectNotFound:
        # Of another server, or deleted there: nothing on this one says that it works.
        path.unlink(missing_ok=True)
        return False
    unfinished = state is None or not state.is_final()
    if unfinished:
        working = TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])), task_run_filter=TaskRunFilter(state=working)
        )
        for task in tasks:
            client.set_task_run_state(task.id, Crashed(message=_MESSAGE), force=True)
        client.set_flow_run_state(run, Crashed(message=_MESSAGE), force=True)
    path.unlink(missing_ok=True)
    return unfinished


def _folder(root: Path) -> Path:
    return root / ".naslora" / "flow_runs"
