"""Stages that a server forks behave as those that Python starts."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.dvc.command import environment
from pipelines.stage_server.lease import stage_python, stage_server
from tests.pipelines.run.test_interruption import is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
# Tells what it was given, and then does what it is told.
STAGE = """
import json, os, sys, time
from pathlib import Path
told = {"parent": os.getppid(), "pid": os.getpid(), "words": sys.argv[1:], "folder": os.getcwd(), "name": __name__,
        "variable": os.environ.get("DVC_STAGE"), "input": sys.stdin.read(), "libraries": sorted(sys.modules),
        "file": sys.argv[0], "python": sys.executable}
print(json.dumps(told), flush=True)
sys.stderr.write("an error\\n")
if sys.argv[1:2] == ["exit"]:
    sys.exit(int(sys.argv[2]))
if sys.argv[1:2] == ["wait"]:
    Path("pid").write_text(str(os.getpid()))
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
if sys.argv[1:2] == ["until"]:
    Path("pid").write_text(str(os.getpid()))
    while not Path(sys.argv[2]).exists():
        time.sleep(0.01)
    Path("finished").touch()
if sys.argv[1:2] == ["compute"]:
    while time.process_time() < 0.5:
        pass
"""


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "stages").mkdir()
    for name in ("__init__", "probe", "merge"):
        (tmp_path / "stages" / f"{name}.py").write_text(STAGE * (name != "__init__"))
    return tmp_path


@pytest.fixture
def server(root) -> Iterator[Path]:
    with stage_server(root, environment()):
        yield root


def start(root: Path, *words: str, **options) -> "subprocess.Popen[str]":
    """Start a stage as dvc does."""
    return subprocess.Popen(
        ["/bin/sh", "-c", 'exec python "$@"', "sh", *(words or ("-m", "stages.probe"))], cwd=root, text=True,
        env=environment(stage_python(root)) | {"DVC_STAGE": "probe@leaf", "PYTHONPATH": os.environ["PYTHONPATH"]},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _code(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


@pytest.fixture(autouse=True)
def _hear_ctrl_c():
    """Shells make background jobs deaf to Ctrl-C, and all they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait_for(file: Path) -> int:
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(file.read_text())


def test_a_stage_gets_what_python_would_give_it(server):
    alone = json.loads(subprocess.run(
        [sys.executable, "-m", "stages.probe", "exit", "7"], cwd=server, input="text", capture_output=True, text=True,
        env=environment() | {"DVC_STAGE": "probe@leaf"}, check=False,
    ).stdout)  # fmt: skip
    process = start(server, "-m", "stages.probe", "exit", "7")
    printed, error = process.communicate("text")
    forked = json.loads(printed)
    assert (process.returncode, error) == (7, "an error\n")
    same = ("words", "folder", "name", "variable", "input", "file", "python")
    assert [forked[name] for name in same] == [alone[name] for name in same]
    assert forked["pid"] != process.pid
    assert "pipelines.stage_server" in forked["libraries"]
    assert not [name for name in forked["libraries"] if name.startswith("naslora_core")]


def test_each_stage_imports_the_code_that_is_there_when_it_begins(server):
    (server / "stages" / "probe.py").write_text("print('one')")
    assert start(server).communicate()[0] == "one\n"
    (server / "stages" / "probe.py").write_text("print('another')")
    assert start(server).communicate()[0] == "another\n"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_reach_the_stage(server, sent, code):
    process = start(server, "-m", "stages.probe", "wait")
    process.stdin.close()
    stage = wait_for(server / "pid")
    process.send_signal(sent)
    assert process.wait(30) == code
    assert not is_alive(stage)


def test_the_stage_ends_with_the_group_that_waits_for_it(server):
    process = start(server, "-m", "stages.probe", "wait", start_new_session=True)
    process.stdin.close()
    stage = wait_for(server / "pid")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while is_alive(stage):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_stage_ends_who_waits_for_it_the_same_way(server):
    process = start(server, "-m", "stages.probe", "wait")
    process.stdin.close()
    os.kill(wait_for(server / "pid"), signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL


def test_other_programs_and_stages_after_the_end_of_the_server_are_pythons_own(root):
    with stage_server(root, environment()):
        words = environment(stage_python(root))
        assert start(root, "-c", "import sys; print(sys.executable)").communicate()[0] == f"{sys.executable}\n"
    for env in (environment(stage_python(root)), words):
        done = subprocess.run(
            ["/bin/sh", "-c", "python -m stages.probe exit 3"], cwd=root, env=env, input="", text=True,
            stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        assert done.returncode == 3
        assert "pipelines.stage_server" not in json.loads(done.stdout)["libraries"]


def test_a_stage_whose_libraries_cannot_be_loaded_is_pythons_own(server):
    (server / "torch.py").write_text("raise RuntimeError('broken')")
    process = start(server, "-m", "stages.merge", "exit", "0")
    assert "pipelines.stage_server" not in json.loads(process.communicate("")[0])["libraries"]
    assert process.returncode == 0


def test_a_stage_outlives_a_killed_run_and_the_server_then_ends(root):
    code = (
        "import subprocess, sys; from pathlib import Path; from pipelines.dvc.command import environment\n"
        "from pipelines.stage_server.lease import stage_python, stage_server\n"
        f"root = Path({str(root)!r})\n"
        "with stage_server(root, environment()):\n"
        "    print(stage_python(root), flush=True)\n"
        "    command = ['/bin/sh', '-c', 'python -m stages.probe until go']\n"
        "    subprocess.run(command, cwd=root, env=environment(stage_python(root)), stdin=subprocess.DEVNULL,\n"
        "                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        stage = wait_for(root / "pid")
        run.kill()
    time.sleep(0.3)
    assert is_alive(stage)
    (root / "go").touch()
    deadline = time.monotonic() + 30
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (root / "finished").exists()


def test_the_time_that_stages_compute_counts_as_that_of_children(root):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with stage_server(root, environment()):
        start(root, "-m", "stages.probe", "compute").communicate("")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime > 0.45
