"""Choose the Prefect server of a command. Imports no Prefect, which reads its settings when it is imported."""

import os
from pathlib import Path

from naslora_core.errors import PipelineError

_ADDRESS = "PREFECT_API_URL"


def has_server() -> bool:
    """Return whether the user has configured a Prefect server."""
    return _ADDRESS in os.environ


def use_project_settings(root: Path) -> None:
    """Without a configured server, let Prefect start a temporary one that writes into the project only."""
    if has_server():
        return
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
    """
    if not has_server():
        raise PipelineError(
            "PREFECT_API_URL is not set, and what runs on time needs a server that stays. Start one with\n"
            f"  PREFECT_HOME={_home(root)} DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false "
            "prefect server start --host 127.0.0.1\n"
            "and say where it is: export PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    return os.environ[_ADDRESS].removesuffix("/api")


def _home(root: Path) -> Path:
    return root / ".naslora" / "prefect"
