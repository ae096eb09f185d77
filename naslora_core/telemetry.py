"""The libraries this project is built on report their use to their makers; here that is off.

To be called before any of them is imported.
"""

import os

TELEMETRY_OFF = {
    # Prefect's client, and Hugging Face's hub.
    "DO_NOT_TRACK": "1",
    # DVC's statistics.
    "DVC_NO_ANALYTICS": "1",
    # The server to which DVC and DVCLive send curves and experiments.
    "DVC_STUDIO_OFFLINE": "true",
    # Great Expectations.
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def turn_telemetry_off() -> None:
    """Set the variables above for this process and those it starts; whoever wants them otherwise cannot."""
    os.environ.update(TELEMETRY_OFF)
