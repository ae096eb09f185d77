"""The pipeline as a Prefect flow. It does nothing that `naslora run` would not do."""

import errno
import hashlib
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from naslora_core.telemetry import turn_telemetry_off

turn_telemetry_off()

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed, State

from naslora_core.config import load_params
from naslora_core.errors import DataError, NasLoraError, PipelineError
from pipelines.flow.artifacts import headline_text, publish, publish_headline, publish_rejection
from pipelines.flow.connection import explain, explained, require_answer
from pipelines.flow.console import be_brief
from pipelines.flow.killed import end_killed_runs, recorded
from pipelines.flow.server import has_server
from pipelines.run.lock import AlreadyWaitingError, next_turn
from pipelines.run.reproduce import reproduce
from pipelines.run.steps import Request, gate, reproduce_domain

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Also in the processes that a server's worker starts, which import this module and nothing else of naslora.
be_brief()

_RETRY_DELAYS_S = [5.0, 30.0]
# What a share or an object store may answer once and not the next time.
_TRANSIENT = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.EHOSTUNREACH}


def _run_name() -> str:
    return ", ".join(flow_run.parameters["domains"]) or "all domains"


@flow(name="retrain", flow_run_name=_run_name)
def retrain(root: str, domains: tuple[str, ...] = (), force: bool = False) -> State[Any]:
    """Run what has changed, and promote models that are better than those in service.

    Ends as "Skipped" if nothing has changed, and as "Coalesced" if another run for the same domains waits already:
    that one will find whatever has changed.

    Args:
        root: the project's folder.
        domains: which domains; none means all of params.yaml.
        force: run even what has not changed.
    """
    logger = get_run_logger()
    folder = Path(root)
    limit_s = 3600 * load_params(folder / "params.yaml").retrain.timeout_h
    request = Request(folder, domains, force, limit_s, logger.info, _LogProgress(logger.info))
    hold = partial(next_turn, purpose=_purpose(domains, force))
    _unless_away(end_killed_runs, folder)
    try:
        with recorded(folder, flow_run.id):
            outcome = reproduce(request, _Tasks(folder, limit_s), hold)
    except AlreadyWaitingError as error:
        return Completed(name="Coalesced", message=str(error), data=str(error))
    summary = headline_text(outcome)
    _unless_away(publish_headline, summary)
    if not outcome.rerun and not outcome.decisions:
        return Completed(name="Skipped", message="nothing has changed", data=summary)
    promoted = f"; in service: {', '.join(outcome.promoted)}" if outcome.promoted else "; models in service kept"
    return Completed(message=f"ran {', '.join(outcome.rerun) or 'comparisons'}{promoted}", data=summary)


def run_flow(root: Path, domains: Sequence[str], force: bool) -> tuple[str, str]:
    """Run the flow here and wait for it.

    Returns:
        The name of its final state with what it says, and the result in markdown.

    Raises:
        NasLoraError: what made the flow fail.
        PipelineError: if it was cancelled or crashed.
        ServerError: if the server is not there, or not there any more.
    """
    if has_server():
        require_answer()
    be_brief()
    with explained("What was finished is kept, and the next run goes on from there: naslora flows run, or naslora run"):
        state = retrain(str(root), tuple(domains), force, return_state=True)
        result = state.result(raise_on_failure=state.is_failed())
    if not state.is_completed():
        raise PipelineError(f"the flow ended as {state.name}: {state.message}; start it again")
    return f"{state.name} ({state.message})", str(result)


class _Tasks:
    """Make a task of each step: DVC is the only cache, and training is never retried.

    Args:
        root: the project's folder.
        timeout_s: longest time for one step.
    """

    def __init__(self, root: Path, timeout_s: float) -> None:
        self._root, self._timeout_s = root, timeout_s

    def __call__(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        name = function.__name__
        retried = {} if name == reproduce_domain.__name__ else {
            "retries": len(_RETRY_DELAYS_S),
            "retry_delay_seconds": _RETRY_DELAYS_S,
            "retry_condition_fn": _is_transient,
        }  # fmt: skip
        has_domain = "domain" in function.__annotations__
        return task(  # type: ignore[call-overload]
            self._publishing(function),
            name=name.replace("_", " "),
            task_run_name=name.replace("_", " ") + (" · {domain}" if has_domain else ""),
            cache_policy=NO_CACHE,
            timeout_seconds=self._timeout_s,
            **retried,
        )

    def _publishing(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            try:
                result = function(*args, **kwargs)
            except DataError as error:
                if function.__name__ == gate.__name__:
                    _unless_away(publish_rejection, error)
                raise
            _unless_away(publish, self._root, result)
            return result

        return run


def _unless_away(publish_: Callable[Arguments, object], *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
    """Tell the server something; if it is away, the work goes on without."""
    try:
        publish_(*args, **kwargs)
    except Exception as error:
        if not explain(error):
            raise
        get_run_logger().warning("%s; this run goes on without it", explain(error))


def _is_transient(task: object, task_run: object, state: State[Any]) -> bool:
    """Return whether a step failed for a transient reason: storage or network."""
    error = state.result(raise_on_failure=False)
    # Who reads a file may have put the system's answer into its own words.
    cause = error.__cause__ if isinstance(error, NasLoraError) else error
    return isinstance(cause, OSError) and cause.errno in _TRANSIENT


def _purpose(domains: Sequence[str], force: bool) -> str:
    if not domains:
        return "all-forced" if force else "all"
    return hashlib.sha256("\n".join([*sorted(domains), str(force)]).encode()).hexdigest()[:16]


class _LogProgress:
    """Log every tenth part of the work."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._tenths = 0

    def __call__(self, done: int, total: int, message: str) -> None:
        tenths = 10 * done // max(total, 1)
        if tenths != self._tenths:
            self._tenths = tenths
            self._log(f"{message} {done}/{total}")
