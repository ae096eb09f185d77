"""Bring the pipeline up to date: what `naslora run` and the Prefect flow both do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from naslora_core.config import Params, load_params
from naslora_core.data.pack import refresh
from naslora_core.errors import ConfigError, DataError, PipelineError
from naslora_core.evaluation.headline import HeadlineRow, headline_rows
from naslora_core.progress import Progress
from pipelines import dvc
from pipelines.lock import exclusive
from pipelines.promote import promote
from stages.paths import StagePaths

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to bring up to date, and how to tell about it.

    Args:
        root: the project's folder.
        domains: which domains; none means all of params.yaml.
        force: run even what has not changed.
        wait_s: longest wait, in seconds, for another run to end.
        say: gets a line whenever something begins.
        progress: gets the progress of the data check.
    """

    root: Path
    domains: Sequence[str]
    force: bool
    wait_s: float
    say: Say
    progress: Progress


@dataclass(frozen=True)
class Outcome:
    """What a run has led to.

    Args:
        rerun: the domains that had changed, or the stage for all of them; empty if nothing was to be done.
        promoted: the domains whose model in serving/ was replaced.
        headline: scores of the chosen domains.
        report: the page with all results; it may be missing while other domains have not run.
    """

    rerun: tuple[str, ...]
    promoted: tuple[str, ...]
    headline: list[HeadlineRow]
    report: Path


class Step(Protocol):
    """Turn a step of the run into one that is also watched, retried or recorded; keeps its signature."""

    def __call__(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Return `function`, wrapped."""
        ...


def directly(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a step as it is."""
    return function


def reproduce(request: Request, step: Step = directly) -> Outcome:
    """Bring the pipeline up to date and put the resulting models into service.

    The working data is judged first: DVC commits changed data before any stage has seen it.

    Args:
        request: what to bring up to date.
        step: wraps each step, for instance as a task of a flow.

    Raises:
        NasLoraError: if a name is unknown, something is missing, the data fails, a stage fails or another run
            holds the project. Models in service stay as they were.
    """
    params = load_params(request.root / "params.yaml")
    chosen = choose_domains(params, request.domains)
    require_inputs(request.root, params, chosen)
    with exclusive(request.root, request.wait_s, request.say):
        unpack_domains(request, params)
        changes = step(dvc.status)(request.root)
        rerun = chosen if request.force else tuple(d for d in chosen if d in changes.domains)
        if not rerun and not request.domains:
            rerun = changes.stages
        if rerun:
            # DVC versions data/ as a whole: changed data of a domain that was not asked for is judged too.
            suspects = {d for d in params.domains if f"validate@{d}" in changes.stages}
            suspects |= set(chosen) if request.force else set()
            step(check_data)(request, params, sorted(suspects))
            step(run_stages)(request, params)
        promoted = step(promote)(StagePaths(request.root), chosen)
    paths = StagePaths(request.root)
    headline = headline_rows(paths.output("evaluate"), chosen)
    return Outcome(rerun, promoted, headline, paths.output("report") / "index.html")


def unpack_domains(request: Request, params: Params) -> None:
    """Unpack packed domains whose copy is not that of the present shards, as after dvc pull or dvc checkout."""
    for domain in params.domains:
        if refresh(StagePaths(request.root).data(domain), request.progress):
            request.say(f"unpacked data/{domain}")


def check_data(request: Request, params: Params, domains: Sequence[str]) -> None:
    """Judge the working data before DVC commits any of it; raises DataError if a domain fails."""
    if not domains:
        return
    from pipelines.gate import check_domains

    check_domains(request.root, params.quality, domains, request.say, request.progress)


def run_stages(request: Request, params: Params) -> None:
    """Run what is out of date, and the report as soon as every domain has results."""
    root, say, force = request.root, request.say, request.force
    if not request.domains:
        dvc.repro(root, (), say, force=force)
        return
    dvc.repro(root, [f"evaluate@{domain}" for domain in request.domains], say, force=force)
    paths = StagePaths(root)
    scores = {domain: paths.output("evaluate", domain) / "metrics.json" for domain in params.domains}
    missing = [domain for domain, file in scores.items() if not file.is_file()]
    if missing:
        say(f"no report yet: {', '.join(missing)} not evaluated")
    else:
        # Alone: the report depends on every domain, and the others were not asked for.
        dvc.repro(root, ["report"], say, force=force, alone=True)


def choose_domains(params: Params, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return `wanted`, or all domains of params.yaml if none is named.

    Raises:
        ConfigError: if one is not in params.yaml; the message lists those that are.
    """
    unknown = [domain for domain in wanted if domain not in params.domains]
    if unknown:
        raise ConfigError(
            f"unknown domain '{unknown[0]}'; params.yaml lists {', '.join(params.domains)}. "
            "Correct the name, or add it to 'domains' in params.yaml"
        )
    return tuple(dict.fromkeys(wanted)) or params.domains


def require_inputs(root: Path, params: Params, domains: Sequence[str]) -> None:
    """Check that the data of `domains` and the base model are there.

    Raises:
        DataError: if data is missing.
        PipelineError: if the base model is missing.
    """
    paths = StagePaths(root)
    if not paths.data("").is_dir() and (root / "data.dvc").is_file():
        raise DataError("data/ is not here yet; fetch it with: dvc pull data.dvc")
    for domain in domains:
        if domain not in (known := paths.domains()):
            raise DataError(
                f"params.yaml lists domain '{domain}', but data/{domain}/dataset.yaml is not there; there is "
                f"data for {', '.join(known) or 'no domain'}. Bring images in with naslora data import, or "
                f"take '{domain}' out of 'domains' in params.yaml"
            )
    checkpoint = root / params.model.checkpoint
    if not checkpoint.is_file():
        tracked = checkpoint.with_name(checkpoint.name + ".dvc").is_file()
        pull = f"fetch it with: dvc pull {params.model.checkpoint}.dvc"
        advice = pull if tracked else "correct model.checkpoint in params.yaml"
        raise PipelineError(f"the base model {params.model.checkpoint} is not there; {advice}")
