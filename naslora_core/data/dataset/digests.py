"""Remember the digests of a dataset's files, so that only those that have changed are read again."""

import stat
from collections.abc import Iterable
from pathlib import Path

from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, file_digest
from naslora_core.files import clock_of_files, write_json
from naslora_core.reading import read_object

_FORMAT = 1
# A file that was written so shortly ago may be written once more without another time: file systems count in up to 2 s.
_SETTLED_NS = 3_000_000_000

# Size, times of the last change of content and of anything, inode: a file that has kept them all was not written.
State = list[int]


def file_digests(dataset: Dataset, remembered: Path | None = None) -> dict[Path, str]:
    """Return what `file_digest` says of every file of a dataset.

    Args:
        dataset: the dataset.
        remembered: file with the digests of an earlier call, and by what it is known whether they still hold; written
            anew. It may be missing, and deleted at any time: the result does not depend on it. As for DVC and git, a
            file is the same as long as the disk says so: the time at which its entry was changed cannot be set.
    """
    known = _read(remembered) if remembered else {}
    began = clock_of_files(remembered.with_suffix(".now")) if remembered else 0
    digests: dict[Path, str] = {}
    kept: dict[str, tuple[State, str]] = {}
    for name, path in _files(dataset):
        state = _state(path)
        found = known.get(name)
        if state and found and found[0] == state:
            digests[path], kept[name] = found[1], found
            continue
        digests[path] = file_digest(path)
        if state and began - max(state[1:3]) > _SETTLED_NS:
            kept[name] = (state, digests[path])
    if remembered and kept != known:
        write_json(remembered, {"format": _FORMAT, "files": kept}, indent=None)
    return digests


def _files(dataset: Dataset) -> Iterable[tuple[str, Path]]:
    for pair in dataset.pairs:
        for folder, path in ((IMAGES_FOLDER, pair.image), (MASKS_FOLDER, pair.mask)):
            if path is not None:
                yield f"{folder}/{path.name}", path


def _state(path: Path) -> State | None:
    """Return by what it is seen whether a file was written; None for what is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    is_file = stat.S_ISREG(found.st_mode)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino] if is_file else None


def _read(path: Path) -> dict[str, tuple[State, str]]:
    try:
        content = read_object(path)
        if content["format"] != _FORMAT:
            return {}
        return {name: (state, bytes.fromhex(digest).hex()) for name, (state, digest) in content["files"].items()}
    # It makes the next run faster and is no more than that, so that a damaged one is none.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
