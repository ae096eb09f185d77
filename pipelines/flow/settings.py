"""How Prefect behaves here. To be set before Prefect is imported; imports nothing itself."""

import os
from pathlib import Path


def use_project_settings(root: Path) -> None:
    """Where the user has no server, let Prefect write into the project only."""
    if "PREFECT_API_URL" in os.environ:
        return
    os.environ.setdefault("PREFECT_HOME", str(root / ".naslora" / "prefect"))
    # Prefect makes the last folder of this path only, and its server fails where that cannot be made.
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    # The temporary server needs 10 s on two idle cores; the default limit of 20 s fails on busy ones.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")
