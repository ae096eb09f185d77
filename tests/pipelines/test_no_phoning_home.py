"""Nothing phones home: telemetry is off wherever one comes in, and no run reaches beyond this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import NASLORA, Project
from tests.stages.drawn import DOMAIN, draw_project

ROOT = Path(__file__).parents[2]
# Every Python process imports this when it starts, so that it also sees what dvc and Prefect start.
GUARD = """
import ipaddress, os, sys

def write(line):
    with open(os.environ["GUARD_LOG"], "a") as file:
        file.write(line + "\\n")

def guard(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    try:
        local = host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        write(f"CONNECTS {event} {host!r}")
        raise ConnectionError(host)

write("GUARDS " + " ".join(sys.orig_argv).replace("\\n", " "))
sys.addaudithook(guard)
"""
STAGES = """
import sys
from stages import evaluate, merge, preprocess, report, search_train, validate
from stages.runner import run_stage
early = ASKED & sys.modules.keys()
"""
REAL = """
for stage in (validate, preprocess, search_train):
    run_stage(stage.main, arguments=ARGUMENTS)
"""
# What each dependency itself says, if asked; Ray, which need not be installed, and Great Expectations have no words.
ASKED = "ASKED = {'prefect', 'dvc', 'dvclive', 'huggingface_hub', 'great_expectations', 'ray'}\nearly = ()\n"
ASK = """
assert not early, f"{early} imported before telemetry was off"
import os
from dvc.analytics import is_enabled
from dvc_studio_client.config import get_studio_config
from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY
from prefect._internal.analytics.enabled import is_telemetry_enabled
from prefect.settings import get_current_settings
answers = {
    "dvc": is_enabled(),
    "dvclive": bool(get_studio_config(studio_token="somebody's", studio_repo_url="https://example.org")),
    "huggingface": not HF_HUB_DISABLE_TELEMETRY,
    "prefect's client": is_telemetry_enabled(),
    "prefect's server": get_current_settings().server.analytics_enabled,
    "great expectations": os.environ.get("GX_ANALYTICS_ENABLED") != "false",
    "ray": os.environ.get("RAY_USAGE_STATS_ENABLED") != "0",
}
print("ON", *sorted(name for name, on in answers.items() if on), sep="|")
"""
ENTRIES = {
    "a command": """
import sys
import pipelines.cli.app as cli
early = ASKED & sys.modules.keys()
from typer.testing import CliRunner
assert CliRunner().invoke(cli.app, ["models", "--help"]).exit_code == 0
""",
    "a stage": STAGES + "run_stage(lambda *_: None, needs_domain=False, arguments=[])",
    "a flow": "import pipelines.flow.retrain",
    "a sweep": "import pipelines.flow.sweep",
}
# A name in constraints.txt that holds one of these may be a telemetry; those known here are turned off.
TELLTALE = ("amplitude", "analytics", "mixpanel", "posthog", "scarf", "sentry", "studio", "telemetry")
KNOWN = {"amplitude-analytics", "dvc-studio-client", "iterative-telemetry"} | {
    # Prefect measures itself with these; nothing is sent unless an exporter is configured.
    f"opentelemetry-{part}" for part in ("api", "exporter-prometheus", "proto", "sdk", "semantic-conventions")
}  # fmt: skip


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    """Return an environment without any setting of the user's or of the tests', guarded."""
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(GUARD)
    (folder / "connections.txt").touch()
    few = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY") if name in os.environ}
    home = {"HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect"), "DVC_SITE_CACHE_DIR": str(tmp_path)}
    return few | home | {"PYTHONPATH": f"{folder}:{ROOT}", "GUARD_LOG": str(folder / "connections.txt")}


def run(command: list[str], environment: dict[str, str], folder: Path) -> tuple[str, list[str]]:
    """Run a command that is to succeed; returns what it printed, and the guard's lines."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    lines = Path(environment["GUARD_LOG"]).read_text().splitlines()
    assert done.returncode == 0, (done.stdout + done.stderr, lines)
    return done.stdout, lines


def connections(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("CONNECTS")]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_telemetry_is_off_wherever_one_comes_in(entry: str, clean: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    told, lines = run([sys.executable, "-c", ASKED + ENTRIES[entry] + ASK], clean, tmp_path)
    assert told.splitlines()[-1] == "ON"
    assert not connections(lines)


def test_those_that_are_asked_would_say_so(clean: dict[str, str], tmp_path: Path) -> None:
    told, _ = run([sys.executable, "-c", ASKED + ASK], clean, tmp_path)
    everything = "dvc|dvclive|great expectations|huggingface|prefect's client|prefect's server|ray"
    assert told.splitlines()[-1] == f"ON|{everything}"


def test_no_pinned_package_is_a_telemetry_that_nobody_has_thought_of() -> None:
    pinned = [line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()]
    assert {name for name in pinned if any(part in name for part in TELLTALE)} == KNOWN


def test_a_run_of_the_pipeline_connects_to_nothing(project: Project, clean: dict[str, str]) -> None:
    project.touch_image("discs")
    told, lines = run([*NASLORA, "run"], clean, project.root)
    assert "Ran: " in told
    # The guard was there in the command, in dvc and in the stages it starts.
    for process in ("pipelines.cli", "-m dvc", "stage.py validate discs"):
        assert any(process in line for line in lines if line.startswith("GUARDS")), process
    assert not connections(lines)


@pytest.mark.slow
def test_real_stages_connect_to_nothing_even_if_a_token_for_dvc_studio_is_set(
    clean: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    drawn = draw_project(root)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=root, check=True)
    settings = [*drawn, "train.epochs=1", "adapter.method=peft:lora", "model.image_size=64"]
    options = [word for setting in settings for word in ("--set", setting)]
    code = f"ARGUMENTS = {['--domain', DOMAIN, '--run', 'lone', *options]}\n{ASKED}{STAGES}{REAL}{ASK}"
    token = {"DVC_STUDIO_TOKEN": "somebody's", "DVC_STUDIO_REPO_URL": "https://example.org/a.git"}
    told, lines = run([sys.executable, "-c", code], clean | token, root)
    assert told.splitlines()[-1] == "ON"
    assert list((root / "runs" / "lone").rglob("adapter.safetensors"))
    assert not connections(lines)


@pytest.mark.slow
def test_a_flow_with_a_server_of_its_own_connects_to_this_machine_alone(
    project: Project, clean: dict[str, str]
) -> None:
    project.touch_image("discs")
    told, lines = run([*NASLORA, "flows", "run"], clean, project.root)
    assert "Flow run: Completed" in told
    assert any("prefect.server" in line for line in lines if line.startswith("GUARDS"))
    assert not connections(lines)


@pytest.mark.parametrize("call", ["s.connect(('192.0.2.1', 80))", "socket.getaddrinfo('example.org', 80)"])
def test_the_guard_sees_a_connection(call: str, clean: dict[str, str], tmp_path: Path) -> None:
    code = f"import socket\ns = socket.socket()\ntry:\n    {call}\nexcept ConnectionError:\n    pass"
    _, lines = run([sys.executable, "-c", code], clean, tmp_path)
    assert len(connections(lines)) == 1


def test_the_clone_itself_tells_dvc_to_count_nobody() -> None:
    """For `dvc` commands that are typed."""
    lines = [line.split("=") for line in (ROOT / ".dvc" / "config").read_text().splitlines() if "=" in line]
    settings = {name.strip(): value.strip() for name, value in lines}
    assert (settings["analytics"], settings["check_update"]) == ("false", "false")
