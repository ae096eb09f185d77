"""Remember how all files looked when nothing was to be done, so that the next run sees that without starting dvc.

DVC trusts a file's size, time of content and inode. Whoever puts a time back changes the time of the inode, which is
looked at here, too.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from naslora_core.errors import PipelineError
from naslora_core.files import atomic_file, clock_of_files, file_md5, write_json
from pipelines.dvc.changes import ChangedStages
from pipelines.run.file_looks import Looks, by_path, look

FORMAT = 1
# Always looked at, beside what dvc.lock names: what dvc goes by, what is registered and what is in service.
_FIXED = ("dvc.yaml", "dvc.lock", "params.yaml", "data.dvc", ".dvcignore", ".dvc/config", ".dvc/config.local")
_MODELS = ("registry", "serving")
# A file that was written within the precision of a file system's times can change without a trace: it is read.
_RACY_NS = 2_000_000_000
_MOST_RACY, _MOST_RACY_BYTES = 5_000, 1 << 26


@dataclass(frozen=True)
class Snapshot:
    """How the files of a project look.

    Args:
        roots: files and folders that were looked at, relative to the project.
        racy: MD5 of the files that were too new to be trusted by their looks, by path.
        looks: of all files.
    """

    roots: tuple[str, ...]
    racy: dict[str, str]
    looks: Looks


def take(root: Path) -> Snapshot | None:
    """Look at everything that decides whether a run has anything to do.

    Call it before asking DVC: a change between the two is then found the next time.

    Returns:
        None if a file cannot be looked at or read, or too much of it is too new.
    """
    try:
        recent_ns = clock_of_files(root / ".naslora" / "unchanged" / "now") - _RACY_NS
        roots = _roots(root)
        looks = look(root, roots, recent_ns)
        if len(looks.recent) > _MOST_RACY or sum(looks.recent.values()) > _MOST_RACY_BYTES:
            return None
        return Snapshot(roots, {path: file_md5(root / path) for path in looks.recent}, looks)
    except (OSError, PipelineError):
        # A dvc.lock that was cut off is for DVC's own commands to recover.
        return None


def remember(root: Path, snapshot: Snapshot, changes: ChangedStages) -> None:
    """Record a snapshot, once DVC has said that no stage has to run.

    Args:
        root: the project's folder.
        snapshot: taken before DVC was asked.
        changes: what DVC said.
    """
    with atomic_file(_looks_file(root)) as temporary:
        temporary.write_bytes(snapshot.looks.encoded)
    answer = {
        "format": FORMAT,
        "digest": snapshot.looks.digest,
        "roots": snapshot.roots,
        "racy": snapshot.racy,
        "missing": changes.missing,
    }
    write_json(_answer_file(root), answer)


def recall(root: Path) -> ChangedStages | None:
    """Return DVC's last answer if no stage had to run then, and no file has changed since; else None."""
    try:
        answer = json.loads(_answer_file(root).read_text(encoding="utf-8"))
        if answer["format"] != FORMAT or look(root, answer["roots"]).digest != answer["digest"]:
            return None
        if any(file_md5(root / path) != md5 for path, md5 in answer["racy"].items()):
            return None
        return ChangedStages((), tuple(answer["missing"]), is_settled=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def look_again(root: Path, say: Callable[[str], None]) -> Snapshot | None:
    """Take a snapshot, and make sure that DVC sees all that differs from the last one.

    Args:
        root: the project's folder.
        say: gets a line with the files in which DVC will see no change, and why.
    """
    snapshot = take(root)
    if snapshot and (hidden := _reveal(root, snapshot)):
        say(
            f"changed, but with size and time as before, so that DVC does not see it: {', '.join(hidden)}; "
            "give them another time with touch"
        )
        return None
    return snapshot


def _reveal(root: Path, snapshot: Snapshot) -> list[str]:
    """Give files that were changed, and had their size and time put back, the time of that change.

    DVC does not read such a file again, nor does anything else that goes by size and time.

    Args:
        root: the project's folder.
        snapshot: of now.

    Returns:
        The files that could not be given that time.
    """
    hidden = []
    recorded: dict[str, str] | None = None
    for path, changed_ns in _suspects(root, snapshot):
        recorded = _recorded_files(root) if recorded is None else recorded
        if not _is_as_recorded(root / path, recorded.get(path)):
            try:
                os.utime(root / path, ns=(changed_ns, changed_ns))
            except OSError:
                hidden.append(path)
    return hidden


def _suspects(root: Path, snapshot: Snapshot) -> Iterator[tuple[str, int]]:
    """Yield the files in which DVC would see no difference although there may be one, with the time of the change."""
    try:
        before = dict(by_path(_looks_file(root).read_bytes()))
        was_racy = json.loads(_answer_file(root).read_text(encoding="utf-8"))["racy"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for path, seen in by_path(snapshot.looks.encoded):
        old = before.get(path)
        if old is None or (old[0], old[1], old[3]) != (seen[0], seen[1], seen[3]):
            continue
        # Within the precision of its times, a file that was too new then looks as before.
        if old[2] != seen[2] or path in was_racy:
            yield path, max(seen[2], seen[1] + 1)


def _is_as_recorded(path: Path, md5: str | None) -> bool:
    try:
        return md5 is not None and file_md5(path) == md5
    except OSError:
        return False


def _recorded_files(root: Path) -> dict[str, str]:
    """Return the MD5 of the files whose content DVC has recorded, by path."""
    from pipelines.dvc.kept import LocalCache
    from pipelines.dvc.lock_file import DvcLock, tracked_outputs

    lock, cache = DvcLock(root), LocalCache(root)
    recorded = tracked_outputs(root / "data.dvc")
    for stage in lock.stages:
        recorded |= stage.deps | stage.outs
    files = {path: md5 for path, md5 in recorded.items() if not md5.endswith(".dir")}
    for folder, md5 in recorded.items():
        files |= {f"{folder}/{name}": file for name, file in cache.listing(md5).items()}
    return files


def _roots(root: Path) -> tuple[str, ...]:
    """Return what is fixed and all that dvc.lock names, without what lies in a folder that is named, too."""
    from pipelines.dvc.lock_file import DvcLock

    named = {*_FIXED, *_MODELS}
    for stage in DvcLock(root).stages:
        named |= stage.deps.keys() | stage.outs.keys()
    return tuple(sorted(name for name in named if not named.intersection(_folders_above(name))))


def _folders_above(name: str) -> list[str]:
    return list(accumulate(name.split("/")[:-1], "{}/{}".format))


def _answer_file(root: Path) -> Path:
    return root / ".naslora" / "unchanged" / "answer.json"


def _looks_file(root: Path) -> Path:
    return root / ".naslora" / "unchanged" / "files.txt"
