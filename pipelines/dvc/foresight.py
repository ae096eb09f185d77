"""Foresee what `dvc repro` will do: which stages it takes from the run cache, and which it runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.dvc.repository import made_by, needed_by, recorded_entry
from pipelines.dvc.result_store import newest_entry


@dataclass(frozen=True)
class Foreseen:
    """What becomes of a stage.

    Args:
        address: as "merge@leaf_lesions".
        result: a stage whose outputs are the result to be taken, as `made_by` returns it; None if the stage runs
            because nobody has computed this before.
        is_in_place: whether the outputs lie in the project as they should.
    """

    address: str
    result: Any
    is_in_place: bool


def foresee(repo: Any, root: Path, target: str) -> Iterator[Foreseen]:
    """Yield what becomes of the target and all that it depends on, in the order of `dvc repro`.

    Outputs of stages that come first are known from their records, so that nothing needs to be here. It ends at the
    first stage that has to run: what it will make is not known, and with it what follows.

    Args:
        repo: from `opened`.
        root: the project's folder.
        target: address of a stage.
    """
    known: dict[str, Any] = {}
    for stage in needed_by(repo, root, target):
        recorded, lock = recorded_entry(stage), {dep.def_path: dep.hash_info for dep in stage.deps}
        if not _fill_inputs(stage, known):
            return
        same_inputs = all(dep.hash_info == lock[dep.def_path] for dep in stage.deps)
        agrees = recorded and same_inputs and not stage.changed_stage()
        entry = recorded if agrees else _newest_entry(repo, stage)
        if entry is None:
            yield Foreseen(stage.name, None, is_in_place=False)
            return
        made = made_by(repo, root, entry)
        known |= {out.fs_path: out for out in made.outs}
        in_place = bool(agrees) and not any(out.workspace_status() for out in stage.outs)
        yield Foreseen(stage.name, made, in_place)


def _fill_inputs(stage: Any, known: dict[str, Any]) -> bool:
    """Give each input of a stage the hash that it will have; returns False if that cannot be told."""
    from dvc.dependency.base import DependencyDoesNotExistError

    for dep in stage.deps:
        if made := known.get(dep.fs_path):
            dep.hash_name, dep.hash_info, dep.meta = made.hash_name, made.hash_info, made.meta
            continue
        above = f"{dep.fs_path}/"
        if any(path.startswith(above) or above.startswith(f"{path}/") for path in known):
            return False
        try:
            dep.save()
        except DependencyDoesNotExistError:
            return False
    return True


def _newest_entry(repo: Any, stage: Any) -> dict[str, Any] | None:
    """Return what the stage made of its inputs the last time; None if that is not known.

    DVC's own way to look it up reads the inputs, which need not be here.
    """
    from dvc.stage.cache import _get_cache_hash
    from dvc.stage.serialize import to_single_stage_lockfile

    return newest_entry(repo, _get_cache_hash(to_single_stage_lockfile(stage), key=True))
