"""Run the pipeline on what has changed, for both `naslora run` and the Prefect flow."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from naslora_core.config import Params, load_params
from naslora_core.data.curation.pack import refresh
from naslora_core.errors import PipelineError
from naslora_core.report.headline import HeadlineRow, headline_rows
from pipelines.dvc.lock_file import DvcLock
from pipelines.models.promote import restore
from pipelines.run.inputs import choose_domains, require_inputs
from pipelines.run.lock import exclusive
from pipelines.run.steps import Decision, Request, decide, detect, gate, publish_report, reproduce_domain, undecided
from stages.paths import StagePaths

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# Locks the project for one run: root, longest wait in seconds, callback for a message about the wait.
Hold = Callable[[Path, float, Callable[[str], None]], AbstractContextManager[None]]


@dataclass(frozen=True)
class RunOutcome:
    """The outcome of a run.

    Args:
        rerun: the domains that had changed, or the stage for all of them; empty if nothing was to be done.
        decisions: what became of every model that is new.
        restored: the domains whose copy in serving/ had been lost or changed.
        headline: scores of the chosen domains' last models.
        report: the page with all results; it may be missing while other domains have not run.
    """

    rerun: tuple[str, ...]
    decisions: tuple[Decision, ...]
    restored: tuple[str, ...]
    headline: list[HeadlineRow]
    report: Path

    @property
    def promoted(self) -> tuple[str, ...]:
        """The domains whose model in service is another one than before."""
        return tuple(decision.domain for decision in self.decisions if decision.promoted)


class Step(Protocol):
    """A decorator of the run's steps, by which the flow makes each a Prefect task; keeps the signature."""

    def __call__(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Return `function`, wrapped."""
        ...


def directly(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a step as it is."""
    return function


def reproduce(request: Request, step: Step = directly, hold: Hold = exclusive) -> RunOutcome:
    """Run what has changed, and put each new model into service that is better than the current one.

    The working data is judged first: DVC commits changed data before any stage has seen it. A domain that fails
    does not keep the others from going on.

    Args:
        request: what to bring up to date.
        step: wraps each step, for instance as a task of a flow.
        hold: keeps other runs out meanwhile.

    Raises:
        NasLoraError: if a name is unknown, something is missing, the data fails, a stage fails or another run
            holds the project. Models in service stay as they were where it is about their domain.
    """
    params = load_params(request.root / "params.yaml")
    chosen = choose_domains(params, request.domains)
    require_inputs(request.root, params, chosen)
    with hold(request.root, request.wait_s, request.say):
        unpack_domains(request, params)
        changes = step(detect)(request)
        rerun = chosen if request.force else tuple(d for d in chosen if d in changes.domains)
        if not rerun and not request.domains:
            rerun = changes.stages
        # DVC versions data/ as a whole: changed data of a domain that was not asked for is judged too.
        suspects = {d for d in params.domains if f"validate@{d}" in changes.stages}
        suspects |= set(chosen) if request.force else set()
        if rerun and suspects:
            step(gate)(request, params, sorted(suspects))
        failed = _reproduce_each(request, params, [d for d in rerun if d in chosen], step)
        decisions = _decide_each(request, params, [d for d in chosen if d not in failed], step)
        restored = tuple(domain for domain in chosen if restore(request.root, domain))
        if rerun:
            step(publish_report)(request, params)
        if failed:
            raise PipelineError("\n".join(failed.values()))
    paths = StagePaths(request.root)
    headline = headline_rows(paths.output("evaluate"), chosen)
    return RunOutcome(rerun, decisions, restored, headline, paths.output("report") / "index.html")


def unpack_domains(request: Request, params: Params) -> None:
    """Unpack packed domains whose copy does not match their shards, as after dvc pull or dvc checkout."""
    for domain in params.domains:
        if refresh(StagePaths(request.root).data(domain), request.progress):
            request.say(f"unpacked data/{domain}")


def _reproduce_each(request: Request, params: Params, domains: Sequence[str], step: Step) -> dict[str, str]:
    """Bring each domain up to date; return the error messages of those that failed."""
    failed = {}
    for domain in domains:
        try:
            step(reproduce_domain)(request, params, domain)
        except PipelineError as error:
            failed[domain] = str(error)
    return failed


def _decide_each(request: Request, params: Params, domains: Sequence[str], step: Step) -> tuple[Decision, ...]:
    lock = DvcLock(request.root)
    return tuple(step(decide)(request, params, domain) for domain in domains if undecided(request.root, lock, domain))
