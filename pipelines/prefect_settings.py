"""How Prefect behaves here. To be set before Prefect is imported; imports nothing itself."""

import os
from pathlib import Path

# Prefect 3.8 phones home twice: the server by its own setting, the client unless DO_NOT_TRACK is set.
# The others would each ask for the same in a variable of its own.
TELEMETRY_OFF = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GX_ANALYTICS_ENABLED": "false",
}


def use_project_settings(root: Path) -> None:
    """Turn telemetry off; where the user has no server, let Prefect write into the project only."""
    os.environ.update(TELEMETRY_OFF)
    if "PREFECT_API_URL" in os.environ:
        return
    os.environ.setdefault("PREFECT_HOME", str(root / ".naslora" / "prefect"))
    # Prefect makes the last folder of this path only, and its server fails where that cannot be made.
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    # The temporary server needs 10 s on two idle cores; the default limit of 20 s fails on busy ones.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")
