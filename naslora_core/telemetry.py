"""Turn off the usage reports of DVC, Prefect, Great Expectations, Hugging Face and Ray.

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
    """Set these environment variables for this process and its children; there is no option to keep the reports on."""
    os.environ.update(TELEMETRY_OFF)
