"""What is wrong with the connection to a server is told in a line, with what to do."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from naslora_core.errors import ConfigError
from tests.pipelines.conftest import NASLORA


class Stand:
    """A server that answers as it is told."""

    def __init__(self) -> None:
        self.status, self.body = 200, ""
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(stand.status)
                self.end_headers()
                self.wfile.write(stand.body.encode())

            def log_message(self, format: str, *_: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def stand() -> Iterator[Stand]:
    """A server that is none of Prefect's."""
    stand = Stand()
    yield stand
    stand.http.shutdown()
    stand.http.server_close()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that sets the address of the server for this test."""
    from contextlib import ExitStack

    from prefect.settings import PREFECT_API_URL, temporary_settings

    with ExitStack() as stack:

        def use(url: str) -> None:
            monkeypatch.setenv("PREFECT_API_URL", url)
            stack.enter_context(temporary_settings({PREFECT_API_URL: url}))

        yield use


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, "<html>", "not as Prefect's API does; the address usually ends in /api"),
        (200, "{}", "not as Prefect's API does"),
        (404, "", "error 404, as Prefect's API does not"),
        (401, "", "asks who you are; set PREFECT_API_AUTH_STRING"),
        (503, "", "error 503, as it does while its database is locked"),
        (200, json.dumps("2.20.1"), "is Prefect 2.20.1, this is 3"),
    ],
)
def test_who_answers_something_else_is_no_server(stand, at, status, body, told):
    from pipelines.flow.connection import ServerError, require_answer

    stand.status, stand.body = status, body
    at(f"http://{stand.address}/api")
    with pytest.raises(ServerError) as raised:
        require_answer()
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:9/api", "does not answer"),
        ("http://nobody.invalid:4200/api", "on a host that nobody knows"),
        ("https://{}/api", "without a certificate the address begins with http://"),
    ],
)
def test_an_address_where_nothing_is_says_what_to_correct(stand, at, url, told):
    from pipelines.flow.connection import ServerError, require_answer

    at(url.format(stand.address))
    with pytest.raises(ServerError, match=told):
        require_answer()


def test_who_waits_says_so_once_and_goes_on_by_itself(stand, at, monkeypatch):
    from pipelines.flow import connection

    stand.status = 503
    at(f"http://{stand.address}/api")
    looks = []

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            import prefect

            stand.status, stand.body = 200, json.dumps(prefect.__version__)

    monkeypatch.setattr(connection, "time", SimpleNamespace(sleep=sleep))
    said: list[str] = []
    connection.wait_for_answer(said.append)
    assert len(looks) == 3
    assert [line.partition(" ")[0] for line in said] == ["waiting:", "the"]
    assert said[1].endswith("is back, going on")


def test_a_command_ends_with_one_line_and_no_traceback(drawn_project):
    done = subprocess.run(
        [*NASLORA, "flows", "serve"],
        cwd=drawn_project,
        env={**os.environ, "PREFECT_API_URL": "http://name:secret@127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: the Prefect server at http://127.0.0.1:9/api does not answer")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:4200", "http://127.0.0.1:4200/api"),
        ("http://127.0.0.1:4200/api/", "http://127.0.0.1:4200/api"),
        (" 127.0.0.1:4200 ", "http://127.0.0.1:4200/api"),
        ("https://prefect.example.org/team/api", "https://prefect.example.org/team/api"),
    ],
)
def test_an_address_gets_the_form_that_prefect_needs(tmp_path, monkeypatch, given, used):
    from pipelines.flow.server import require_server

    monkeypatch.setenv("PREFECT_API_URL", given)
    assert require_server(tmp_path) == used.removesuffix("/api")
    assert os.environ["PREFECT_API_URL"] == used


@pytest.mark.parametrize("given", ["ftp://x/api", "foo:bar", "http://", "http://host:99999/api"])
def test_what_is_no_address_is_told(tmp_path, monkeypatch, given):
    from pipelines.flow.server import require_server

    monkeypatch.setenv("PREFECT_API_URL", given)
    with pytest.raises(ConfigError, match="is no address; it looks like"):
        require_server(tmp_path)


def test_serving_outlasts_its_server(at):
    import anyio
    import httpx
    from prefect.runner import _scheduled_run_poller

    from pipelines.flow.patience import be_patient

    at("http://127.0.0.1:9/api")
    before = _scheduled_run_poller.critical_service_loop
    said: list[str] = []
    be_patient(said.append)
    answers = [httpx.ConnectError("refused"), httpx.ConnectError("refused"), None]
    tries = iter(answers * 2)

    class EnoughError(Exception):
        pass

    async def work() -> None:
        try:
            answer = next(tries)
        except StopIteration:
            raise EnoughError from None
        if answer:
            raise answer

    loop = _scheduled_run_poller.critical_service_loop
    assert loop is not before
    with pytest.raises(EnoughError):
        anyio.run(lambda: loop(workload=work, interval=0.0, jitter_range=0.3))
    assert [line.split()[0] for line in said] == ["waiting:", "the"] * 2


def test_a_server_prints_a_line_for_an_error(monkeypatch):
    import logging
    import sys
    from pydoc import locate

    from prefect.logging.configuration import DEFAULT_LOGGING_SETTINGS_PATH, load_logging_config

    from pipelines.flow.server import BRIEF_LOG

    for name, value in BRIEF_LOG.items():
        monkeypatch.setenv(name, value)
    settings = load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH)["formatters"]["standard"]
    formatter = locate(settings.pop("()"))(**settings)
    try:
        raise OSError("database is locked\n[SQL: BEGIN]")
    except OSError:
        record = logging.LogRecord("prefect.server", logging.ERROR, "", 0, "no health", (), sys.exc_info())
    assert formatter.format(record).endswith("| ERROR   | prefect.server - no health: database is locked")
