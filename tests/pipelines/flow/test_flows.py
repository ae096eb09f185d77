"""The Prefect flow: the same work, with states, artifacts and a result that Prefect keeps."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from naslora_core.errors import DataError

CHANGED = ["evaluate@discs", "merge@discs", "report", "search_train@discs", "validate@discs"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server on this machine with a home of its own; returns the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    url = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_LOGGING_SERVER_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    import pipelines.flow.retrain  # noqa: F401

    with temporary_settings({PREFECT_API_URL: url}):
        until(lambda: is_up(url), 150)
        yield url
    process.terminate()
    process.wait(30)


def is_up(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Callable[[], object], limit_s: float = 100) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.5)


@contextmanager
def served(project, server: str) -> Iterator[None]:
    """Serve the flow as a user does, and end that with SIGTERM."""
    command = [sys.executable, "-c", "from pipelines.cli.app import main; main()", "flows", "serve"]
    with (project.root / ".naslora" / "serve.log").open("w") as log:
        serving = subprocess.Popen(
            [*command, "--watch", "1", "--every", "600"],
            cwd=project.root,
            env={**os.environ, "PREFECT_API_URL": server},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(60)


def client():
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def runs() -> list[tuple[str, str]]:
    """Deployment runs as (name of state, type)."""
    with client() as api:
        found = [run for run in api.read_flow_runs() if run.deployment_id]
        return [(run.state.name, run.state.type.value) for run in found if run.state]


def due_runs() -> list[tuple[str, str]]:
    """Those that the schedule does not keep for later; what is late is due."""
    return [run for run in runs() if run[0] != "Scheduled"]


@pytest.mark.usefixtures("server")
def test_the_flow_promotes_what_is_better_then_skips_then_fails_on_bad_data(project):
    from pipelines.flow.retrain import retrain, run_flow

    project.score("discs", 0.6)
    name, summary = run_flow(project.root, (), False)
    assert name == "Completed (ran discs; in service: discs)"
    assert project.executed() == CHANGED
    assert "better: Dice 0.610 against 0.510 of version 1" in summary

    state = retrain(str(project.root), return_state=True)
    assert (state.name, state.message) == ("Skipped", "nothing has changed")
    assert state.is_completed()
    assert project.executed() == []

    before = project.snapshot("serving", "registry")
    (project.root / "data" / "squares" / "masks" / "image_05.png").unlink()
    with pytest.raises(DataError, match="image_05"):
        run_flow(project.root, (), False)
    assert project.executed() == []
    assert project.snapshot("serving", "registry") == before
    with client() as api:
        artifacts = {artifact.key: str(artifact.data) for artifact in api.read_artifacts()}
        tasks = {task.name for task in api.read_task_runs()}
    assert "image_05" in artifacts["data-rejected"]
    assert "version 2 promoted" in artifacts["decision-discs"]
    assert {row["metric"]: row["new"] for row in json.loads(artifacts["scores-discs"])}["dice"] == 0.61
    assert artifacts["examples-discs"].startswith("data:image/jpeg;base64,")
    assert json.loads(artifacts["data-quality"])[0]["pairs"] == 16
    assert {"detect", "gate", "reproduce domain · discs", "decide · discs", "publish report"} <= tasks


def test_changed_data_and_triggers_at_the_same_time_lead_to_one_rerun(server, project):
    from pipelines.flow.deploy import trigger_now

    name = f"retrain/{project.root.name}"
    with served(project, server):
        # The first look finds data it has never seen, which starts a run that finds nothing to do.
        until(lambda: ("Skipped", "COMPLETED") in runs(), 270)
        project.score("discs", 0.6)
        for _ in range(2):
            trigger_now(name)
        until(lambda: all(state == "COMPLETED" for _, state in due_runs()) and len(due_runs()) >= 4, 270)
        ended = due_runs()
        assert [run[0] for run in ended].count("Completed") == 1
        assert {run[0] for run in ended} <= {"Completed", "Skipped", "Coalesced"}
        assert project.executed() == CHANGED
    with client() as api:
        deployment = api.read_deployment_by_name(name)
    assert not deployment.paused
    assert [schedule.active for schedule in deployment.schedules] == [True]


@pytest.mark.usefixtures("server")
def test_runs_that_nobody_served_at_their_time_are_not_made_up_for(tmp_path):
    from prefect.states import Scheduled

    from pipelines.flow.deploy import Triggers, deployment_of, drop_late_runs

    deployment = deployment_of(tmp_path, (), Triggers(None, "0 3 * * 6", 60))
    number = deployment.apply()
    past = datetime.now(timezone.utc) - timedelta(hours=1)
    with client() as api:
        for _ in range(3):
            api.create_flow_run_from_deployment(number, state=Scheduled(scheduled_time=past))
    assert drop_late_runs(f"retrain/{tmp_path.name}") == 3
    assert drop_late_runs(f"retrain/{tmp_path.name}") == 0
    assert drop_late_runs("retrain/nobody") == 0


@pytest.mark.parametrize(("found", "zone"), [("Europe/Zurich", "Europe/Zurich"), (None, "UTC")])
def test_the_calendar_is_that_of_this_machine(tmp_path, monkeypatch, found, zone):
    from pipelines.flow.deploy import Triggers, deployment_of

    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: found)
    (schedule,) = deployment_of(tmp_path, (), Triggers(None, "0 3 * * 6", None)).schedules
    assert schedule.schedule.timezone == zone


def test_a_change_counts_once_it_has_come_to_rest(tmp_path):
    from pipelines.flow.watch import Watcher

    (tmp_path / "data" / "leaf").mkdir(parents=True)
    image = tmp_path / "data" / "leaf" / "1.png"
    image.write_bytes(b"one")
    watcher = Watcher(tmp_path)
    assert watcher.poll() is None
    first = watcher.poll()
    assert first
    watcher.mark_reported(first)
    assert watcher.poll() is None
    image.write_bytes(b"other")
    assert watcher.poll() is None
    assert watcher.poll() not in (None, first)
    # A change while nothing was watching is found.
    fresh = Watcher(tmp_path)
    assert (fresh.poll(), fresh.poll() is not None) == (None, True)


def test_only_storage_and_network_are_tried_again():
    from prefect.states import Failed

    from naslora_core.errors import PipelineError
    from pipelines.flow.retrain import _is_transient

    for error, passing in (
        (OSError(5, "Input/output error"), True),
        (OSError(28, "No space"), False),
        (PipelineError("no"), False),
    ):
        assert _is_transient(None, None, Failed(data=error)) is passing


@pytest.mark.parametrize(("number", "passing"), [(errno.ESTALE, True), (errno.EACCES, False)])
def test_a_record_that_the_storage_does_not_give_now_is_asked_for_again(tmp_path, monkeypatch, number, passing):
    from prefect.states import Failed

    from naslora_core.errors import PipelineError
    from pipelines.flow.retrain import _is_transient
    from pipelines.models.registry import ModelRegistry

    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "discs.json").write_text("{}")

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(PipelineError) as raised:
        ModelRegistry(tmp_path).read("discs")
    assert _is_transient(None, None, Failed(data=raised.value)) is passing


def test_without_a_server_prefect_writes_into_the_project_only(tmp_path, monkeypatch):
    from pipelines.flow.server import use_project_settings

    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())
        use_project_settings(tmp_path)
        assert os.environ["PREFECT_HOME"] == str(Path(tmp_path) / ".naslora" / "prefect")
        assert (tmp_path / ".naslora" / "prefect").is_dir()
