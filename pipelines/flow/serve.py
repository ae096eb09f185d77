"""Serve the flow, and watch the data; both wait for their server when it is away, and go on when it is back."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc import command as dvc
from pipelines.flow.connection import ServerError, explain, explained, require_answer, wait_for_answer
from pipelines.flow.console import be_brief
from pipelines.flow.deploy import DATA_CHANGED, Triggers, deployment_of, drop_late_runs, resource_of
from pipelines.flow.killed import end_killed_runs
from pipelines.flow.patience import be_patient
from pipelines.flow.server import address
from pipelines.flow.upstream import pull_upstream
from pipelines.flow.watch import watch


def serve_project(root: Path, domains: Sequence[str], triggers: Triggers, say: Callable[[str], None]) -> None:
    """Serve the flow until the process is ended; its schedules stay active beyond that.

    Args:
        root: the project's folder.
        domains: which domains; none means all of params.yaml.
        triggers: what starts a run.
        say: gets a line about what is done.

    Raises:
        ServerError: if no server answers at the start; one that goes away later is waited for.
    """
    require_answer()
    say(f"Serving retrain/{root.name}. Next: naslora flows trigger, or open {address().removesuffix('/api')}")
    deployment = deployment_of(root, domains, triggers)
    be_brief()
    be_patient(say)
    watching = False
    while True:
        try:
            # Registered before anybody watches: an event that nothing waits for yet would be lost.
            deployment.apply()
            _clear_up(root, say)
            if triggers.watch_s is not None and not watching:
                details = (root, triggers.watch_s, triggers.pull, say)
                threading.Thread(target=_watch, args=details, daemon=True).start()
                watching = True
            _serve_once(root, domains, triggers)
            return
        except Exception as error:
            if not explain(error):
                raise
        wait_for_answer(say)


def watch_data(root: Path, every_s: float, pull: bool, say: Callable[[str], None]) -> None:
    """Watch the data, and send the server an event for every change; never returns.

    Args:
        root: the project's folder.
        every_s: seconds between two polls.
        pull: before each poll, take over what others have pushed.
        say: gets a line about what is done.
    """
    wait_for_answer(say)
    be_brief()
    with explained():
        _end_killed(root, say)
    _watch(root, every_s, pull, say)


def emit_change(root: Path, state: str) -> None:
    """Send the server the event that a project's data has changed.

    Raises:
        ServerError: if the server cannot be reached.
    """
    from prefect.events import emit_event

    # Events are sent in the background and lost without a word if nobody listens.
    require_answer()
    emit_event(DATA_CHANGED, resource={"prefect.resource.id": resource_of(root)}, payload={"state": state})


def _watch(root: Path, every_s: float, pull: bool, say: Callable[[str], None]) -> None:
    away = False

    def tell(state: str) -> None:
        nonlocal away
        if not _is_new(root):
            return
        try:
            emit_change(root, state)
        except ServerError as error:
            if not away:
                say(f"data changed ({state[:8]}), waiting to tell the server: {error}")
            away = True
            # The watcher comes with the same state again.
            raise ConnectionError(str(error)) from error
        away = False
        say(f"data changed ({state[:8]}), told the server")

    watch(root, every_s, tell, partial(pull_upstream, root, say) if pull else lambda: None)


def _is_new(root: Path) -> bool:
    """Return whether a run would find something to do; if that cannot be told now, the run will tell."""
    try:
        return bool(dvc.status(root, 0, lambda line: None).stages)
    except PipelineError:
        return True


def _clear_up(root: Path, say: Callable[[str], None]) -> None:
    _end_killed(root, say)
    if dropped := drop_late_runs(f"retrain/{root.name}"):
        say(f"{dropped} runs that nobody served at their time are left out; one run covers them all")


def _end_killed(root: Path, say: Callable[[str], None]) -> None:
    if ended := end_killed_runs(root):
        say(f"{ended} runs whose process was killed are ended as Crashed; the next one goes on from there")


def _serve_once(root: Path, domains: Sequence[str], triggers: Triggers) -> None:
    """Serve until the process is ended, or the server has been away for long."""
    from prefect import serve

    # With its default, ending this process would switch the schedules off until somebody switches them on.
    serve(deployment_of(root, domains, triggers), pause_on_shutdown=False, print_starting_message=False)
