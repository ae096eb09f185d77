"""Ctrl-C, SIGTERM and two runs at once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from naslora_core.errors import PipelineError
from pipelines.dvc import command as dvc
from pipelines.run.lock import AlreadyWaitingError, exclusive, next_turn

HOLD = """
import os, pathlib, subprocess, time
from pipelines.run.lock import exclusive
with exclusive(pathlib.Path({root!r}), 0, print):
"""
# Shells make background jobs deaf to Ctrl-C, and all they start.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
HELD = " print('held', flush=True)\n time.sleep({seconds})"


def start_slow_run(project) -> tuple[subprocess.Popen[str], int]:
    """Start a run that hangs in a stage; returns it and the process id of the stage."""
    project.edit_params("merge", max_metric_drop=0.5)
    marker = project.root / "slow"
    marker.touch()
    naslora = subprocess.Popen(
        [sys.executable, "-c", f"{HEAR_CTRL_C}; from pipelines.cli.app import main; main()", "run"],
        cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not (pid := marker.read_text()):
        assert naslora.poll() is None, naslora.communicate()[0]
        assert time.monotonic() < deadline, "the stage did not start"
        time.sleep(0.1)
    return naslora, int(pid)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_a_run_ends_the_stage_and_frees_the_project(project, sent):
    before = project.snapshot("serving")
    naslora, stage = start_slow_run(project)
    assert is_alive(stage)
    naslora.send_signal(sent)
    printed = naslora.communicate(timeout=40)[0]
    assert naslora.returncode == (1 if sent == signal.SIGINT else 128 + sent)
    assert not is_alive(stage)
    assert "Traceback" not in printed
    if sent == signal.SIGINT:
        assert "error: interrupted" in printed
    assert project.snapshot("serving") == before
    assert dvc.status(project.root, 0, print).domains == ("discs", "squares")
    with exclusive(project.root, 0, print):
        pass


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_after_a_killed_run_the_next_one_waits_for_what_is_left_of_it_and_finishes(project):
    before = project.snapshot("serving")
    naslora, stage = start_slow_run(project)
    naslora.kill()
    naslora.communicate()
    with pytest.raises(PipelineError, match="the project is busy"):
        exclusive(project.root, 0, print).__enter__()
    (project.root / "slow").unlink()
    os.kill(stage, signal.SIGKILL)
    assert project.snapshot("serving") == before
    with exclusive(project.root, 60, print):
        dvc.repro(project.root, ["evaluate@discs", "evaluate@squares"], print, wait_s=60)
    assert dvc.status(project.root, 0, print).domains == ()


def test_triggers_while_a_run_works_become_one_run(tmp_path):
    code = HOLD.format(root=str(tmp_path)) + HELD.format(seconds=3)
    said: list[str] = []
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        second = threading.Thread(target=lambda: said.append(wait_for_turn(tmp_path)))
        second.start()
        while not (tmp_path / ".naslora" / "next-all.lock").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        with pytest.raises(AlreadyWaitingError):
            next_turn(tmp_path, 30, print, "all").__enter__()
        second.join()
    assert said == ["third waits"]


def wait_for_turn(root: Path) -> str:
    """Wait for a turn; once it has come, the next run may wait."""
    with next_turn(root, 30, lambda line: None, "all"), pytest.raises(PipelineError) as caught:
        next_turn(root, 0, print, "all").__enter__()
    return "coalesced" if isinstance(caught.value, AlreadyWaitingError) else "third waits"


def test_a_command_that_somebody_types_is_waited_for(project):
    with subprocess.Popen(["sleep", "2"]) as typed:
        table = {"write": {"/x": {"pid": typed.pid, "cmd": "dvc repro"}}, "read": {}}
        (project.root / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(table))
        said: list[str] = []
        with pytest.raises(PipelineError, match=rf"dvc repro \(process {typed.pid}\) works in it"):
            dvc.status(project.root, 0, said.append)
        # A process that has ended but is not collected yet still looks alive.
        threading.Thread(target=typed.wait).start()
        assert dvc.status(project.root, 60, said.append).stages == ()
    assert said == [f"waiting for dvc repro (process {typed.pid})"]


def test_a_second_run_is_told_who_holds_the_project(tmp_path):
    said: list[str] = []
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(root=str(tmp_path)) + HELD.format(seconds=60)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(PipelineError, match=rf"process {holder.pid}, since \d\d:"):
            exclusive(tmp_path, 0.5, said.append).__enter__()
        assert len(said) == 1
        assert f"process {holder.pid}" in said[0]
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    with exclusive(tmp_path, 0, said.append):
        pass
    assert len(said) == 1


def test_waiting_ends_when_the_other_run_does(tmp_path):
    code = HOLD.format(root=str(tmp_path)) + HELD.format(seconds=1)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said: list[str] = []
        with exclusive(tmp_path, 30, said.append):
            assert "waiting up to 30 s" in said[0]


def test_dvc_that_outlives_its_parent_keeps_the_project_locked(tmp_path):
    code = HOLD.format(root=str(tmp_path)) + (
        " child = subprocess.Popen(['sleep', '60'], close_fds=False, start_new_session=True)\n"
        " print(child.pid, flush=True)\n os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.wait()
        try:
            with pytest.raises(PipelineError, match="the project is busy"):
                exclusive(tmp_path, 0, print).__enter__()
        finally:
            os.kill(child, signal.SIGKILL)
