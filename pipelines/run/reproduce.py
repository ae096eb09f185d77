"""Run the pipeline on what has changed, for both `naslora run` and the Prefect flow."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from naslora_core.config import Params, load_params
from naslora_core.errors import PipelineError
from naslora_core.report.headline import HeadlineRow, headline_rows
from pipelines.dvc.changes import ChangedStages
from pipelines.dvc.place import settle
from pipelines.models.conflicts import require_no_conflict
from pipelines.run import unchanged
from pipelines.run.inputs import choose_domains, require_current_data, require_inputs
from pipelines.run.lock import exclusive
from pipelines.run.removed_domains import remove_leftovers
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
        headline: scores of the chosen domains' last models, as far as they are in this checkout.
        report: the page with all results; it may be missing while other domains have not run.
        missing: stages whose outputs are not in this checkout although nothing has changed.
        to_commit: what git should hold of this run, as paths for `git add`; empty outside git.
    """

    rerun: tuple[str, ...]
    decisions: tuple[Decision, ...]
    restored: tuple[str, ...]
    headline: list[HeadlineRow]
    report: Path
    missing: tuple[str, ...] = ()
    to_commit: tuple[str, ...] = ()

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
    root = request.root
    require_no_conflict(root)
    params = load_params(root / "params.yaml")
    chosen = choose_domains(params, request.domains)
    # Before anything that may be missing is named, with a command of dvc's that has to work.
    settle(root, request.say)
    require_inputs(root, params, chosen)
    with hold(root, request.wait_s, request.say):
        unpack_domains(request, params)
        removed = remove_leftovers(root, params.domains, request.say)
        known = unchanged.recall(root)
        before = None if known else unchanged.look_again(root, request.say)
        changes = step(detect)(request, known)
        if "data.dvc" in changes.pointers:
            require_current_data(root)
        rerun = chosen if request.force else tuple(d for d in chosen if d in changes.domains)
        if not rerun and not request.domains:
            rerun = changes.stages
        if changes.is_settled and not rerun:
            return _outcome(request, params, chosen, changes)
        # DVC versions data/ as a whole: changed data of a domain that was not asked for is judged too.
        suspects = {d for d in params.domains if f"validate@{d}" in changes.stages}
        suspects |= set(chosen) if request.force else set()
        if rerun and suspects:
            step(gate)(request, params, sorted(suspects))
        with _stage_server(root) if rerun else nullcontext():
            failed = _reproduce_each(request, params, [d for d in rerun if d in chosen], step)
            decisions = _decide_each(request, params, [d for d in chosen if d not in failed], step)
            restored = _restore_each(root, chosen)
            if rerun:
                step(publish_report)(request, params)
        if failed:
            raise PipelineError("\n".join(failed.values()))
        if rerun or decisions or restored:
            before, changes = _look_at_result(request)
        if before and not changes.stages and set(chosen) == set(params.domains):
            unchanged.remember(root, before, changes)
        outcome = _outcome(request, params, chosen, changes)
    to_commit = _to_commit(root) if rerun or decisions or removed else ()
    return replace(outcome, rerun=rerun, decisions=decisions, restored=restored, to_commit=to_commit)


def _outcome(request: Request, params: Params, chosen: Sequence[str], changes: ChangedStages) -> RunOutcome:
    """Return the outcome of a run that had nothing to do."""
    paths = StagePaths(request.root)
    gone = {d for d in chosen if f"evaluate@{d}" in changes.missing and not _scores(paths, d).is_file()}
    headline = headline_rows(paths.output("evaluate"), [domain for domain in chosen if domain not in gone])
    page = paths.output("report") / "index.html"
    missing = tuple(name for name in changes.missing if name.partition("@")[2] in ("", *chosen))
    return RunOutcome((), (), (), headline, page, missing)


def _scores(paths: StagePaths, domain: str) -> Path:
    return paths.output("evaluate", domain) / "metrics.json"


def _stage_server(root: Path) -> AbstractContextManager[None]:
    from pipelines.dvc.command import environment
    from pipelines.stage_server.lease import stage_server

    return stage_server(root, environment())


def _look_at_result(request: Request) -> tuple[unchanged.Snapshot | None, ChangedStages]:
    """Ask DVC whether everything is done, so that the next run need not."""
    from pipelines.dvc import command as dvc

    snapshot = unchanged.take(request.root)
    return snapshot, dvc.status(request.root, request.wait_s, request.say)


def _to_commit(root: Path) -> tuple[str, ...]:
    from pipelines.run.to_commit import files_to_commit

    return files_to_commit(root)


def unpack_domains(request: Request, params: Params) -> None:
    """Unpack packed domains whose copy does not match their shards, as after dvc pull or dvc checkout."""
    packed = [domain for domain in params.domains if (StagePaths(request.root).data(domain) / "shards").is_dir()]
    if not packed:
        return
    # Not at the top: reading data takes half a second to import.
    from naslora_core.data.curation.pack import refresh

    for domain in packed:
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
    from pipelines.dvc.lock_file import DvcLock

    lock = DvcLock(request.root)
    return tuple(step(decide)(request, params, domain) for domain in domains if undecided(request.root, lock, domain))


def _restore_each(root: Path, domains: Sequence[str]) -> tuple[str, ...]:
    from pipelines.models.promote import restore

    return tuple(domain for domain in domains if restore(root, domain))
