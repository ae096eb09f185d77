"""A real Prefect server, as `naslora flows server` starts it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipelines.conftest import NASLORA, REPOSITORY


def until(holds: Callable[[], object], limit_s: float = 100) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.5)


def is_up(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server on this machine with a home of its own; returns the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home: Path = tmp_path_factory.mktemp("prefect")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(REPOSITORY / name, home / name)
    url = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, "PREFECT_LOGGING_SERVER_LEVEL": "ERROR", "PYTHONPATH": str(REPOSITORY)}
    environment.pop("PREFECT_HOME", None)
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*NASLORA, "flows", "server", "--port", str(port)],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    from prefect.settings import PREFECT_API_URL, temporary_settings

    import pipelines.flow.retrain  # noqa: F401

    with temporary_settings({PREFECT_API_URL: url}):
        until(lambda: is_up(url), 300)
        yield url
    process.terminate()
    process.wait(30)
