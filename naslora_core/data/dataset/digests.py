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
# Of a digest, and the space before it.
_DIGEST_LENGTH = 65


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
    kept: dict[str, str] = {}
    for name, path in _files(dataset):
        state, written = _state(path)
        found = known.get(name, "")
        if state and found[:-_DIGEST_LENGTH] == state:
            digests[path], kept[name] = found[1 - _DIGEST_LENGTH :], found
            continue
        digests[path] = file_digest(path)
        if state and digests[path] and began - written > _SETTLED_NS:
            kept[name] = f"{state} {digests[path]}"
    if remembered and kept != known:
        write_json(remembered, {"format": _FORMAT, "files": kept}, indent=None)
    return digests


def _files(dataset: Dataset) -> Iterable[tuple[str, Path]]:
    for pair in dataset.pairs:
        for folder, path in ((IMAGES_FOLDER, pair.image), (MASKS_FOLDER, pair.mask)):
            if path is not None:
                yield f"{folder}/{path.name}", path


def _state(path: Path) -> tuple[str, int]:
    """Return by what it is seen whether a file was written, and the time in ns at which it was; "" for no file.

    Its size, the times of the last change of its content and of anything, and its inode: as a text, of which very many
    take little memory.
    """
    try:
        found = path.stat()
    except OSError:
        return "", 0
    if not stat.S_ISREG(found.st_mode):
        return "", 0
    written, changed = found.st_mtime_ns, found.st_ctime_ns
    return f"{found.st_size} {written} {changed} {found.st_ino}", max(written, changed)


def _read(path: Path) -> dict[str, str]:
    try:
        content = read_object(path)
        files = content["files"] if content["format"] == _FORMAT else {}
        is_whole = all(len(bytes.fromhex(state_and_digest[-64:])) == 32 for state_and_digest in files.values())
        return files if is_whole else {}
    # It makes the next run faster and is no more than that, so that a damaged one is none.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
