"""Let a process that serves flows outlast its server: Prefect's gives up after half a minute, and ends its runs."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx

from pipelines.flow.connection import explain


def be_patient(say: Callable[[str], None]) -> None:
    """Let the loops of Prefect's runner wait for a server that is away.

    Args:
        say: gets a line when the server has gone away, and one when it is back.
    """
    from prefect._internal import observers
    from prefect.runner import _scheduled_run_poller

    _Told.say, _Told.away = staticmethod(say), False
    for module in (observers, _scheduled_run_poller):
        module.critical_service_loop = _patient_loop  # type: ignore[attr-defined]


class _Told:
    """What was said, for all loops together."""

    say: Callable[[str], None]
    away: bool


async def _patient_loop(
    workload: Callable[[], Awaitable[Any]], interval: float, run_once: bool = False, **_: object
) -> None:
    """Call `workload` every `interval` seconds, as Prefect's loop does, and never give up for want of a server."""
    while True:
        try:
            await workload()
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
                raise
            if not _Told.away:
                _Told.say(f"waiting: {explain(error)}")
            _Told.away = True
        else:
            if _Told.away:
                _Told.say("the Prefect server is back, going on")
            _Told.away = False
        if run_once:
            return
        await anyio.sleep(interval)
