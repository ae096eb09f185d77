"""Importing everything, asking for help, judging data and loading a method of PEFT opens no connection."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARD = """
import ipaddress, sys

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
        sys.stderr.write(f"CONNECTS {event} {arguments[1:]!r} {host!r}\\n")
        raise ConnectionError(host)

sys.addaudithook(guard)
"""
EVERYTHING = """
OPTIONAL = ("accelerate", "prefect_ray", "prefect_dask", "onnx", "onnxruntime", "rasterio", "tensorboard")
import importlib, pkgutil
import naslora_core, stages, pipelines
for package in (naslora_core, stages, pipelines):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            assert error.name in OPTIONAL, error
"""
WORK = """
import os
import pandas as pd
from naslora_core.quality.checks import Check
from naslora_core.quality.engine import run_suite
check = Check("complete", "ExpectColumnValuesToNotBeNull", {"column": "a"}, "critical", "a is there")
assert run_suite(pd.DataFrame({"a": [1, 2]}), [check])[0].success
import great_expectations as gx
assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
from typer.testing import CliRunner
from pipelines.cli import app
for words in (["--help"], ["data", "import", "--help"], ["run", "--help"], ["flows", "serve", "--help"]):
    assert CliRunner().invoke(app, words).exit_code == 0
"""
# Settings that somebody else may have made, and this project does not count on.
TELEMETRY = ("DO_NOT_TRACK", "DVC_NO_ANALYTICS", "PREFECT_SERVER_ANALYTICS_ENABLED", "GX_ANALYTICS_ENABLED",
             "HF_HUB_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "HF_HUB_OFFLINE")  # fmt: skip


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY}
    settings = {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder), "DVC_GLOBAL_CONFIG_DIR": str(folder)}
    command = [sys.executable, "-c", GUARD + code]
    return subprocess.run(
        command, cwd=ROOT, env=clean | settings, capture_output=True, text=True, check=False
    )  # fmt: skip


def test_nothing_that_is_imported_or_asked_for_help_reaches_out(tmp_path: Path) -> None:
    done = run(EVERYTHING + WORK, tmp_path)
    assert "CONNECTS" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call", ["s.connect(('192.0.2.1', 80))", "socket.getaddrinfo('example.org', 80)"])
def test_the_guard_sees_a_connection(call: str, tmp_path: Path) -> None:
    done = run(f"import socket\ns = socket.socket()\n{call}", tmp_path)
    assert "CONNECTS" in done.stderr
    assert done.returncode != 0


def test_dvc_counts_nobody() -> None:
    from pipelines.dvc import environment

    assert environment()["DVC_NO_ANALYTICS"] == "1"
    lines = [line.split("=") for line in (ROOT / ".dvc" / "config").read_text().splitlines() if "=" in line]
    settings = {name.strip(): value.strip() for name, value in lines}
    assert (settings["analytics"], settings["check_update"]) == ("false", "false")


def test_what_drives_the_stages_turns_off_every_telemetry_there_is() -> None:
    from pipelines.prefect_settings import TELEMETRY_OFF

    assert TELEMETRY_OFF == {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "GX_ANALYTICS_ENABLED": "false",
    }
