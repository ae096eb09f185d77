"""For all tests: nothing leaves this machine, and nothing is written outside temporary folders."""

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.preloaded import PYTHON_VARIABLE, preloaded_python

# Before torch is loaded: on shared cores its threads would lose most of their time spinning for each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ("tests.fixtures.models", "tests.fixtures.scores")
_servers = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start, once for all processes of pytest, what starts programs fast; it loads nothing before it is asked."""
    # Importing and collecting make no garbage worth looking for, and to look among so many objects takes long.
    gc.disable()
    if PYTHON_VARIABLE not in os.environ and hasattr(os, "fork"):
        os.environ[PYTHON_VARIABLE] = str(_servers.enter_context(preloaded_python()))
        _servers.callback(os.environ.pop, PYTHON_VARIABLE)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for garbage from here on, but not among what has been imported and collected."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End it."""
    _servers.close()


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse connections to anything but this machine."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert isinstance(address, tuple)
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise ConnectionError(f"a test tried to reach {host}; tests use no network")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        yield


@pytest.fixture(scope="session", autouse=True)
def _quiet_tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the files and habits of dvc, prefect and git out of the user's own."""
    home: Path = tmp_path_factory.mktemp("tools")
    settings = {
        "DVC_SITE_CACHE_DIR": home / "dvc",
        "DVC_GLOBAL_CONFIG_DIR": home / "dvc-config",
        "DVC_NO_ANALYTICS": "1",
        "PREFECT_HOME": home / "prefect",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "GIT_CONFIG_GLOBAL": home / "gitconfig",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, str(value))
        yield
