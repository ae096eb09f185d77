"""The steps of a run, one function each, so that a flow can run each as a task."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from naslora_core.config import Params
from naslora_core.errors import PipelineError
from naslora_core.files import write_json
from naslora_core.progress import Progress
from pipelines.dvc.changes import ChangedStages
from stages.paths import StagePaths

_FIRST = "the first model of this domain"

# What reads models and data takes a second to import, and a run with nothing to do needs none of it.
if TYPE_CHECKING:
    from naslora_core.quality.verdict import Verdict
    from pipelines.dvc.lock_file import DvcLock
    from pipelines.models.compare import ModelComparison
    from pipelines.models.registry import ModelVersion

# Stages that take seconds, and often make of other settings what was there before.
_QUICK = ("validate", "preprocess")


@dataclass(frozen=True)
class Request:
    """What to bring up to date, and where to report progress.

    Args:
        root: the project's folder.
        domains: which domains; none means all of params.yaml.
        force: run even what has not changed.
        wait_s: longest wait, in seconds, for another run to end.
        say: gets a line whenever something begins.
        progress: gets the progress of the data check and of measuring.
    """

    root: Path
    domains: Sequence[str]
    force: bool
    wait_s: float
    say: Callable[[str], None]
    progress: Progress


@dataclass(frozen=True)
class Decision:
    """The decision on a new model.

    Args:
        domain: what it segments.
        version: the new model, as it stands in the registry.
        promoted: whether it is in service now.
        reason: why, in one sentence.
        comparison: what it was measured against; None for the first model of a domain.
        warm_start: what a warm start has saved and cost; "" if there was none.
    """

    domain: str
    version: "ModelVersion"
    promoted: bool
    reason: str
    comparison: "ModelComparison | None"
    warm_start: str

    def __str__(self) -> str:
        word = "in service" if self.promoted else "kept out of service"
        warm = f"; {self.warm_start}" if self.warm_start else ""
        return f"{self.domain} version {self.version.number} {word}; {self.reason}{warm}"


def detect(request: Request, known: ChangedStages | None) -> ChangedStages:
    """Find out what has changed: data, settings or code, by DVC's own records.

    Outputs that are missing although nothing has changed are taken from DVC's cache, if it has them.

    Args:
        request: what to bring up to date.
        known: the answer, if DVC need not be asked.
    """
    changes = known or _ask_dvc(request)
    request.say(f"changed: {', '.join(changes.stages) or 'nothing'}")
    return changes


def _ask_dvc(request: Request) -> ChangedStages:
    from pipelines.dvc import command as dvc
    from pipelines.run.bring_back import bring_back

    changes = dvc.status(request.root, request.wait_s, request.say)
    if changes.missing:
        changes = bring_back(request.root, changes, request.wait_s, request.say)
    if changes.stages == ("report",) and changes.missing:
        # It is made of all results, and some are not in this checkout.
        return replace(changes, stages=(), missing=(*changes.missing, "report"))
    return changes


def gate(request: Request, params: Params, domains: Sequence[str]) -> "list[Verdict]":
    """Run the gate on the working data before DVC stores any of it; raises DataError if a domain fails."""
    from pipelines.run.gate import check_domains

    return check_domains(request.root, params, domains, request.say, request.progress)


def reproduce_domain(request: Request, params: Params, domain: str) -> None:
    """Run the changed stages of a domain, up to evaluate, or take their results from where they were computed before.

    Raises:
        PipelineError: if a stage fails.
    """
    from pipelines.dvc import command as dvc
    from pipelines.models.warm_start import prepare_warm_start

    prepare_warm_start(request.root, params, domain, request.say)
    target = f"evaluate@{domain}"
    if not request.force:
        _find_results(request, target, [f"{stage}@{domain}" for stage in _QUICK])
    dvc.repro(request.root, [target], request.say, wait_s=request.wait_s, force=request.force)


def _find_results(request: Request, target: str, quick: Sequence[str]) -> None:
    """Fetch what was computed before; run quick stages whose outcome decides what that is."""
    from pipelines.dvc import command as dvc
    from pipelines.dvc.results import find_results

    for _ in range(len(quick) + 1):
        runs = find_results(request.root, target, request.say)
        if runs not in quick:
            return
        dvc.repro(request.root, [runs], request.say, wait_s=request.wait_s)


def undecided(root: Path, lock: "DvcLock", domain: str) -> bool:
    """Return whether the domain has a finished model without a decision; its files are not needed for a decided one.

    Raises:
        PipelineError: if there is one that was never registered, and its files are not here.
    """
    from pipelines.models.candidate import find_candidate
    from pipelines.models.promote import find_registered
    from pipelines.models.registry import ModelRegistry

    version = find_registered(root, lock, domain)
    if version is not None:
        return ModelRegistry(root).read(domain).decision_on(version.number) is None
    return find_candidate(root, lock, domain) is not None


def decide(request: Request, params: Params, domain: str) -> Decision:
    """Compare the new model with the one in service on the same test images; promote it, or keep that one."""
    from pipelines.dvc.lock_file import DvcLock
    from pipelines.models.candidate import find_candidate
    from pipelines.models.promote import find_registered, keep, put_into_service, register, restore
    from pipelines.models.registry import ModelRegistry
    from pipelines.models.warm_start import describe_warm_start

    root, lock = request.root, DvcLock(request.root)
    version = find_registered(root, lock, domain)
    if version is None:
        if (candidate := find_candidate(root, lock, domain)) is None:
            raise PipelineError(f"'{domain}' has no finished model; start naslora run --domain {domain}")
        version = register(root, lock, candidate, params)
    record = ModelRegistry(root).read(domain)
    comparison = None
    if event := record.decision_on(version.number):
        # An earlier try got as far as that, and failed at the copy.
        promoted, reason = event.action == "promoted", event.reason
        restore(root, domain)
    elif record.in_service is None:
        promoted, reason = True, "no model is in service to compare it with" if record.events else _FIRST
        put_into_service(root, domain, version.number, "promoted", reason)
    else:
        from pipelines.models.compare import compare, judge

        comparison = compare(root, params, domain, version, request.progress)
        promoted, reason = judge(comparison, params.retrain)
        if promoted:
            put_into_service(root, domain, version.number, "promoted", reason)
        else:
            keep(root, domain, version.number, reason)
    start = version.training["warm_start"]
    warm = describe_warm_start(version, record.version(start)) if start else ""
    decision = Decision(domain, version, promoted, reason, comparison, warm)
    _note_for_report(StagePaths(root).decision(domain), decision)
    request.say(str(decision))
    return decision


def _note_for_report(path: Path, decision: Decision) -> None:
    """Write the comparison for the report; a domain's first model has none."""
    if decision.comparison is None:
        path.unlink(missing_ok=True)
        return
    from pipelines.models.candidate import MODEL

    dice = decision.comparison.row("dice")
    note = {
        "weights_sha256": decision.version.files[f"{MODEL}/model.safetensors"],
        "decision": "promoted" if decision.promoted else "kept",
        "reason": "; ".join(filter(None, (decision.reason, decision.warm_start))),
        "serving": {"version": f"version {decision.comparison.serving}", "dice": asdict(dice.serving)},
        "candidate": {"version": f"version {decision.version.number}", "dice": asdict(dice.candidate)},
        "difference": asdict(dice.difference),
    }
    write_json(path, note)


def publish_report(request: Request, params: Params) -> None:
    """Run stage report, once every domain has results in this checkout."""
    from pipelines.dvc import command as dvc
    from pipelines.run.bring_back import missing_for_report

    paths = StagePaths(request.root)
    scores = {domain: paths.output("evaluate", domain) / "metrics.json" for domain in params.domains}
    if missing := [domain for domain, file in scores.items() if not file.is_file()]:
        request.say(f"no report yet: {', '.join(missing)} not evaluated")
        return
    if elsewhere := missing_for_report(request.root, params.domains):
        request.say(f"no report yet: results of {', '.join(elsewhere)} are not here; fetch them: naslora results pull")
        return
    # Alone: the report depends on every domain, and the others may not have been asked for.
    dvc.repro(request.root, ["report"], request.say, wait_s=request.wait_s, force=request.force, alone=True)
