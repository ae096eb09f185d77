"""What this project is built on would phone home; it does not. To be said before any of it is imported."""

import os

# Each asks in a variable of its own, and some in two: Prefect's client and its server, DVC's statistics and the place
# that DVCLive sends curves to.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "DVC_STUDIO_OFFLINE": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def turn_telemetry_off() -> None:
    """Set the variables above for this process and those it starts; whoever wants them otherwise cannot."""
    os.environ.update(TELEMETRY_OFF)
