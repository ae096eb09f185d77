"""DVC as a library, for questions that its command line does not answer: one open repository, its errors as ours."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from naslora_core.errors import NasLoraError, PipelineError


@contextmanager
def opened(root: Path, doing: str) -> Iterator[Any]:
    """Open the project's DVC repository; nothing of what DVC logs is printed, but bars on a terminal are.

    Args:
        root: the project's folder.
        doing: what it is opened for, as "pushing results", for the message of an error.

    Yields:
        A `dvc.repo.Repo`.

    Raises:
        PipelineError: instead of any error of DVC's or of a storage's client.
    """
    # Half a second, for commands that need it only.
    from dvc.repo import Repo

    with _quiet():
        try:
            with Repo(str(root)) as repo:
                yield repo
        except (NasLoraError, KeyboardInterrupt):
            raise
        except Exception as error:
            # Clients of storages have errors of their own, which nothing but Exception has in common.
            raise PipelineError(f"{doing} failed: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def pipeline_stages(repo: Any, root: Path) -> list[Any]:
    """Return the stages of the project's dvc.yaml as far as dvc.lock records them, each after those it depends on.

    Args:
        repo: from `opened`.
        root: the project's folder.
    """
    from dvc.repo.reproduce import get_active_graph, plan_repro

    file = str((root / "dvc.yaml").resolve())
    return [stage for stage in plan_repro(get_active_graph(repo.index.graph)) if stage.path == file and stage.cmd]


def needed_by(repo: Any, root: Path, target: str) -> list[Any]:
    """Return the stages that `dvc repro TARGET` looks at, in its order."""
    from dvc.repo.reproduce import get_active_graph, plan_repro

    stages = pipeline_stages(repo, root)
    wanted = [stage for stage in stages if stage.name == target]
    chosen = plan_repro(get_active_graph(repo.index.graph), wanted) if wanted else []
    return [stage for stage in chosen if stage in stages]


def recorded_entry(stage: Any) -> dict[str, Any] | None:
    """Return a stage as dvc.lock records it, in the form of the run cache; None if it does not record all outputs."""
    from dvc.stage.serialize import to_single_stage_lockfile

    complete = stage.outs and all(item.hash_info for item in (*stage.deps, *stage.outs))
    return dict(to_single_stage_lockfile(stage)) if complete else None


def made_by(repo: Any, root: Path, entry: Mapping[str, Any]) -> Any:
    """Return a stage whose outputs are those of an entry of the run cache, and lie in DVC's cache."""
    from dvc.stage import PipelineStage, create_stage
    from dvc.stage.loader import StageLoader

    outs = [out["path"] for out in entry["outs"]]
    stage = create_stage(
        PipelineStage, repo=repo, path=str(root / "dvc.yaml"), wdir=str(root), cmd=entry["cmd"], outs=outs
    )
    StageLoader.fill_from_lock(stage, dict(entry))
    return stage


def is_cached(stage: Any) -> bool:
    """Return whether all files of a result from `made_by` are in the cache on this machine."""
    # DVC asks the default remote for a folder's list of files that is not here, so that one is looked at first.
    return all(out.cache.exists(out.hash_info.value) for out in stage.outs) and bool(stage.outs_cached())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what DVC logs from standard error, where Python prints warnings that nobody handles."""
    logger, handler = logging.getLogger("dvc"), logging.NullHandler()
    others = [logging.getLogger(name) for name in ("dvc_objects", "dvc_data")]
    for one in (logger, *others):
        one.addHandler(handler)
    before = logger.propagate
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        for one in (logger, *others):
            one.removeHandler(handler)
