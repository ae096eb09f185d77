"""Tell stages that have to run from stages whose results only lie elsewhere, in what `dvc status` says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.dvc.lock_file import DvcLock, LockedStage

# In the words of `dvc status`. The cache lacks what a dvc.lock from another checkout names.
_ABSENT = ("deleted", "not in cache")


@dataclass(frozen=True)
class ChangedStages:
    """What `dvc status` reports, sorted by what it means.

    Args:
        stages: addresses of the stages whose inputs, settings, command or outputs changed, as "merge@leaf_lesions".
        missing: addresses of stages without a change whose outputs are not in this checkout, as in a clone.
        stale: outputs of those stages that are there, but are the results of another commit.
        pointers: the .dvc files that name other content than lies in this checkout, as "data.dvc".
        is_settled: nothing was to be done when everything was last looked at, and nothing has been touched since.
    """

    stages: tuple[str, ...]
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    is_settled: bool = False

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains with at least one changed stage, sorted."""
        return tuple(sorted({stage.partition("@")[2] for stage in self.stages if "@" in stage}))


def sort_changes(
    status: Mapping[str, Any], lock: Callable[[], DvcLock], is_kept: Callable[[str], bool]
) -> ChangedStages:
    """Sort what `dvc status --json` says.

    A stage whose outputs are gone has to run only if dvc.lock is not right about it any more: if its inputs, settings
    or command changed, or if an input that is gone, too, is recorded differently where it was made.

    Args:
        status: by address of a stage or name of a .dvc file, what changed.
        lock: reads dvc.lock; asked only if a stage is named.
        is_kept: whether an output's present content can be had from DVC's cache again: then it is a result of another
            commit, as after git checkout. Anything else was changed by hand.
    """
    entries = {address: _parts(items) for address, items in status.items() if not address.endswith(".dvc")}
    pointers = tuple(address for address in status if address.endswith(".dvc"))
    if not entries:
        return ChangedStages((), pointers=pointers)
    record = lock()
    locked = {address: stage for address in record.addresses if (stage := record.at(address))}
    absent, stale = set(), set()
    for outs in (entry.get("changed outs", {}) for entry in entries.values()):
        absent |= {path for path, state in outs.items() if state in _ABSENT}
        stale |= {path for path, state in outs.items() if state == "modified" and is_kept(path)}
    elsewhere = _Elsewhere(absent | stale, {path: md5 for s in locked.values() for path, md5 in s.outs.items()})
    missing = [address for address, entry in entries.items() if elsewhere.explains(entry, locked.get(address))]
    changed = [address for address in entries if address not in missing]
    kept_stale = {path for address in missing if (stage := locked.get(address)) for path in stage.outs if path in stale}
    return ChangedStages(tuple(changed), tuple(missing), tuple(sorted(kept_stale)), pointers)


@dataclass(frozen=True)
class _Elsewhere:
    """The outputs that this checkout lacks, and the MD5 of every output in dvc.lock."""

    paths: set[str]
    recorded: dict[str, str]

    def explains(self, entry: Mapping[str, Any], stage: LockedStage | None) -> bool:
        """Return whether a stage is named by `dvc status` for nothing but outputs that are not here."""
        if stage is None or not entry.keys() <= {"changed deps", "changed outs"}:
            return False
        if not entry.get("changed outs", {}).keys() <= self.paths:
            return False
        return all(self._explains_input(path, state, stage) for path, state in entry.get("changed deps", {}).items())

    def _explains_input(self, path: str, state: object, stage: LockedStage) -> bool:
        if not isinstance(state, str) or state == "new":
            return False
        if path in self.paths:
            return stage.deps.get(path) == self.recorded.get(path)
        # A folder above outputs, of which some are not here.
        return any(output.startswith(f"{path}/") for output in self.paths)


def _parts(items: list[Any]) -> dict[str, Any]:
    """Merge the parts of a stage's entry; words such as "changed command" become keys."""
    parts: dict[str, Any] = {}
    for item in items:
        parts |= item if isinstance(item, dict) else {item: True}
    return parts
