"""The Prefect flow: the same work, with states, artifacts and a result that Prefect keeps."""

import errno
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from naslora_core.errors import DataError
from tests.pipelines.conftest import NASLORA
from tests.pipelines.flow.conftest import until

CHANGED = ["evaluate@discs", "merge@discs", "report", "search_train@discs", "validate@discs"]


@contextmanager
def served(project, server: str) -> Iterator[None]:
    """Serve the flow as a user does, and end that with SIGTERM."""
    command = [*NASLORA, "flows", "serve"]
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


@pytest.mark.slow
def test_changed_data_and_a_trigger_at_the_same_time_lead_to_one_rerun(server, project):
    from pipelines.flow.deploy import trigger_now

    name = f"retrain/{project.root.name}"
    with served(project, server):
        # `naslora run` has just seen the data, which is no change for who watches it first.
        until((project.root / ".naslora" / "watched").is_file, 270)
        assert due_runs() == []
        project.score("discs", 0.6)
        trigger_now(name)
        until(lambda: all(state == "COMPLETED" for _, state in due_runs()) and len(due_runs()) >= 2, 270)
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
    from prefect.states import Pending, Scheduled

    from pipelines.flow.deploy import Triggers, deployment_of, drop_late_runs

    deployment = deployment_of(tmp_path, (), Triggers(None, "0 3 * * 6", 60))
    number = deployment.apply()
    past = datetime.now(timezone.utc) - timedelta(hours=1)
    with client() as api:
        for _ in range(3):
            taken = api.create_flow_run_from_deployment(number, state=Scheduled(scheduled_time=past))
        # Whoever had taken it was ended before it could start it.
        api.set_flow_run_state(taken.id, Pending(), force=True)
    assert drop_late_runs(f"retrain/{tmp_path.name}") == 3
    assert drop_late_runs(f"retrain/{tmp_path.name}") == 0
    assert drop_late_runs("retrain/nobody") == 0


@pytest.mark.usefixtures("server")
def test_a_killed_run_is_ended_and_a_living_one_is_left(server, project):
    from pipelines.flow.killed import end_killed_runs

    project.touch_image("discs")
    slow = project.root / "slow"
    slow.touch()
    command = [*NASLORA, "flows", "run"]
    run = subprocess.Popen(
        command,
        cwd=project.root,
        env={**os.environ, "PREFECT_API_URL": server.removesuffix("/api")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(slow.read_text)
    (record,) = (project.root / ".naslora" / "flow_runs").iterdir()
    assert end_killed_runs(project.root) == 0
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(30)
    # dvc has a session of its own, and would go on.
    os.kill(int(slow.read_text()), signal.SIGKILL)
    assert end_killed_runs(project.root) == 1
    with client() as api:
        state = api.read_flow_run(UUID(record.stem)).state
    assert (state.name, "process was killed" in state.message) == ("Crashed", True)
    assert end_killed_runs(project.root) == 0


def test_the_pages_of_the_server_ask_no_other_host(server):
    import httpx

    home = server.removesuffix("/api")
    settings = httpx.get(f"{home}/ui-settings").json()
    assert (settings["api_url"], settings["default_ui"]) == (server, "v1")
    page = httpx.get(home, headers={"Accept": "text/html"}, follow_redirects=True)
    assert page.url.path == "/"
    loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"([^\"]+)", page.text)
    assert len(loaded) > 3
    assert all(address.startswith("/") and not address.startswith("//") for address in loaded)
    for address in loaded:
        if address.endswith((".js", ".css")):
            text = httpx.get(home + address).text
            # The interface that is off asks a counting service, whatever the settings for counting are.
            assert "amplitude.com" not in text
            assert not re.search(r"(?:url\(|@import |fetch\(|\.src=)[\"'`]?https?://", text), address


@pytest.mark.usefixtures("server")
def test_a_table_with_numbers_that_json_lacks_can_be_shown(server):
    import httpx

    from pipelines.flow.artifacts import publish_table

    publish_table([{"epochs": 3, "loss": float("inf"), "more": [float("nan"), 1.5]}], "odd-numbers", "a test")
    answer = httpx.post(f"{server}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["odd-numbers"]}}})

    def refuse(name):
        raise AssertionError(name)

    (artifact,) = json.loads(answer.text, parse_constant=refuse)
    assert json.loads(artifact["data"], parse_constant=refuse) == [{"epochs": 3, "loss": None, "more": [None, 1.5]}]


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
