"""The pipeline as a Prefect flow. It does nothing that `naslora run` would not do."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipelines.prefect_settings import TELEMETRY_OFF

os.environ.update(TELEMETRY_OFF)

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed, State

from naslora_core.errors import PipelineError
from naslora_core.evaluation.headline import format_headline
from pipelines.reproduce import Outcome, Request, reproduce

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_WAIT_S = 3600.0


def as_task(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a task around a step of the run. DVC is the only cache, and training is not retried."""
    name = getattr(function, "__name__", "step").replace("_", " ")
    return task(function, name=name, cache_policy=NO_CACHE)  # type: ignore[call-overload]


def _run_name() -> str:
    return ", ".join(flow_run.parameters["domains"]) or "all domains"


@flow(name="retrain", flow_run_name=_run_name)
def retrain(root: str, domains: tuple[str, ...] = (), force: bool = False) -> State[Any]:
    """Bring the pipeline up to date; ends as "Skipped" if nothing has changed.

    Args:
        root: the project's folder.
        domains: which domains; none means all of params.yaml.
        force: run even what has not changed.
    """
    logger = get_run_logger()
    request = Request(Path(root), domains, force, _WAIT_S, logger.info, _LogProgress(logger.info))
    outcome = reproduce(request, as_task)
    summary = describe(outcome)
    create_markdown_artifact(summary, key="headline", description="Scores on the test images")
    if not outcome.rerun:
        return Completed(name="Skipped", message="data unchanged", data=summary)
    return Completed(message=f"ran {', '.join(outcome.rerun)}", data=summary)


def run_flow(root: Path, domains: Sequence[str], force: bool) -> tuple[str, str]:
    """Run the flow here and wait for it.

    Returns:
        The name of its final state with what it says, and the result in markdown.

    Raises:
        NasLoraError: what made the flow fail.
        PipelineError: if it was cancelled or crashed.
    """
    state = retrain(str(root), tuple(domains), force, return_state=True)
    result = state.result(raise_on_failure=state.is_failed())
    if not state.is_completed():
        raise PipelineError(f"the flow ended as {state.name}: {state.message}; start it again")
    return f"{state.name} ({state.message})", str(result)


def describe(outcome: Outcome) -> str:
    """Return the outcome in markdown."""
    ran = ", ".join(outcome.rerun) or "nothing, no data or setting has changed"
    lines = [f"**Ran:** {ran}", "", "```", format_headline(outcome.headline), "```"]
    if outcome.report.is_file():
        lines += ["", f"Report: `{outcome.report}`"]
    return "\n".join(lines)


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
