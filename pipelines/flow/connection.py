"""Put into one line what is wrong with the connection to a Prefect server."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from naslora_core.errors import PipelineError
from pipelines.flow.server import address, has_server

# Longest wait for one answer, in seconds; a server that is busy with its database may need some.
_LIMIT_S = 10.0
_WAIT_S = 5.0
_START = "start it with naslora flows server, or correct PREFECT_API_URL"
# What Prefect's client and its runner say in a RuntimeError.
_SIGNS = ("Failed to reach API", "ephemeral", "incompatible versions", "exceeded error threshold")
_NOT_PREFECT = "{} answers, but not as Prefect's API does; the address usually ends in /api"


class ServerError(PipelineError):
    """The Prefect server is away, or what answers is none."""


def require_answer() -> None:
    """Ask the user's server whether it is there, which takes 10 s at most.

    Raises:
        ServerError: if no server of Prefect's, of this major version, answers; says what to do.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
    with explained(), once, get_client(sync_client=True, httpx_settings={"timeout": _LIMIT_S}) as client:
        # Anything may answer /health with a page.
        theirs, ours = client.api_version(), client.client_version()
    if not isinstance(theirs, str) or not theirs[:1].isdigit():
        raise ServerError(_NOT_PREFECT.format(_server()))
    if theirs.partition(".")[0] != ours.partition(".")[0]:
        raise ServerError(
            f"{_server()} is Prefect {theirs}, this is {ours}, and major versions have to be the same; "
            "use another server, or install the version that it has"
        )


def wait_for_answer(say: Callable[[str], None]) -> None:
    """Wait until the user's server answers; says so once if it does not answer now, and once when it does."""
    told = False
    while True:
        try:
            require_answer()
        except ServerError as error:
            if not told:
                say(f"waiting: {error}")
            told = True
            time.sleep(_WAIT_S)
            continue
        if told:
            say(f"{_server()} is back, going on")
        return


@contextmanager
def explained(consequence: str = "") -> Iterator[None]:
    """Turn errors of the connection into a ServerError of a line.

    Args:
        consequence: what it means for the work, to be added.
    """
    try:
        yield
    except Exception as error:
        if words := explain(error):
            raise ServerError(words + (f"\n{consequence}" if consequence else "")) from error
        raise


def explain(error: BaseException) -> str:
    """Return in a line what is wrong with the server and what to do; "" if the error is about something else."""
    if isinstance(error, httpx.HTTPStatusError):
        return _explain_status(error.response)
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return f"PREFECT_API_URL is '{address()}', which is no address; it looks like http://127.0.0.1:4200/api"
    if isinstance(error, httpx.TimeoutException):
        return f"{_server()} did not answer in time; see what it prints itself, or {_START}"
    if isinstance(error, httpx.TransportError):
        return _explain_connection(str(error))
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return _NOT_PREFECT.format(_server())
    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS):
        if "ephemeral" in str(error):
            return (
                "the temporary Prefect server did not start; another one may hold its database in .naslora/prefect: "
                "end that one, or start a server that stays with naslora flows server"
            )
        return (error.__cause__ and explain(error.__cause__)) or f"{_server()} does not answer; {_START}"
    # Those of tasks that ran at the same time come in one group.
    return next(filter(None, map(explain, getattr(error, "exceptions", ()))), "")


def _explain_status(response: httpx.Response) -> str:
    code = response.status_code
    if code in (401, 403):
        return f"{_server()} asks who you are; set PREFECT_API_AUTH_STRING or PREFECT_API_KEY as its owner told you"
    if code >= 500:
        return (
            f"{_server()} answers with error {code}, as it does while its database is locked or its disk full; "
            "see what it prints itself, and try again"
        )
    return f"{_server()} answers with error {code}, as Prefect's API does not; the address usually ends in /api"


def _explain_connection(said: str) -> str:
    if any(sign in said for sign in ("Name or service not known", "nodename", "name resolution", "getaddrinfo")):
        return f"{_server()} is on a host that nobody knows; correct PREFECT_API_URL"
    if "SSL" in said or "CERTIFICATE" in said:
        return (
            f"{_server()} does not speak https as expected ({said}); without a certificate the address begins with "
            "http://"
        )
    return f"{_server()} does not answer ({said or 'it hung up'}); {_START}"


def _server() -> str:
    return f"the Prefect server at {address()}" if has_server() else "the temporary Prefect server"
