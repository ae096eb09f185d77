"""Choose the Prefect server of a command. Imports no Prefect, which reads its settings when it is imported."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from naslora_core.errors import ConfigError, PipelineError
from naslora_core.telemetry import turn_telemetry_off

_ADDRESS = "PREFECT_API_URL"
# Of Prefect's two interfaces, the second asks a counting service for its settings, even if nothing may be counted.
_PAGES_THAT_ASK_NOBODY = {
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
# Prefect's name for the class that its logs are formatted with ("()" in its logging.yml, which "_" ends here).
BRIEF_LOG = {"PREFECT_LOGGING_FORMATTERS_STANDARD_": "pipelines.flow.console.ServerFormatter"}


def has_server() -> bool:
    """Return whether the user has configured a Prefect server."""
    return bool(os.environ.get(_ADDRESS, "").strip())


def address() -> str:
    """Return the address of the user's server as it may be shown: without a password; "" if they have none."""
    parts = urlsplit(os.environ.get(_ADDRESS, ""))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def use_project_settings(root: Path) -> None:
    """Without a configured server, let Prefect start a temporary one that writes into the project only.

    Raises:
        ConfigError: if the configured address is none.
    """
    if has_server():
        _complete_address()
        return
    os.environ.pop(_ADDRESS, None)
    os.environ.setdefault("PREFECT_HOME", str(_home(root)))
    # Prefect makes the last folder of this path only, and its server fails where that cannot be made.
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    # The temporary server needs 10 s on two idle cores; the default limit of 20 s fails on busy ones.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")


def require_server(root: Path) -> str:
    """Return the address of the user's Prefect server in a browser.

    Raises:
        PipelineError: if they have none; says how to start one.
        ConfigError: if its address is none.
    """
    if not has_server():
        raise PipelineError(
            f"PREFECT_API_URL is not set, and what runs on time needs a server that stays. Start one in {root}, in a "
            "terminal of its own:\n  naslora flows server\n"
            "and say here where it is: export PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    _complete_address()
    return address().removesuffix("/api")


def start_server(root: Path, port: int) -> None:
    """Replace this process by a Prefect server that listens on this machine and keeps its records in the project."""
    turn_telemetry_off()
    # The server would use it as the address that its own pages ask.
    os.environ.pop(_ADDRESS, None)
    for name, value in {**_PAGES_THAT_ASK_NOBODY, **BRIEF_LOG}.items():
        os.environ.setdefault(name, value)
    # The pages ask this port, whatever `--port` is.
    os.environ["PREFECT_SERVER_API_PORT"] = str(port)
    os.environ.setdefault("PREFECT_HOME", str(_home(root)))
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *words])


def _complete_address() -> None:
    """Give the configured address the form that Prefect needs."""
    given = os.environ[_ADDRESS].strip()
    parts = urlsplit(given if "://" in given else f"http://{given}")
    try:
        known = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"PREFECT_API_URL is '{given}', which is no address; it looks like http://127.0.0.1:4200/api")
    path = parts.path.rstrip("/") or "/api"
    os.environ[_ADDRESS] = urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _home(root: Path) -> Path:
    return root / ".naslora" / "prefect"
