"""Write files and folders atomically: a reader never sees a partial one, also after a crash.

What was written is on the disk before its name is: a power cut leaves the earlier content or the new one. What a
killed process leaves behind is removed by the next one that writes the same folder.
"""

import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# In the name of everything unfinished; .dvcignore keeps it out of what stages depend on.
_UNFINISHED = ".tmp-"
_PREVIOUS = ".previous"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` if the block succeeds, and is deleted if it fails.

    Raises:
        OSError: if the disk is full or read-only; it names `path`, also where a library has hidden the reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}{_UNFINISHED}", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp creates the file for its owner alone; give it the mode any other new file would have.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except Exception as error:
        if number := _disk_error(error):
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a new empty folder that replaces `path` if the block succeeds, and is deleted if it fails.

    Args:
        path: the folder; a kill between the two renames leaves none, and the next call puts the earlier one back.
        durable: wait until the disk has every file; not worth its time where the content can be made anew.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_up(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{_UNFINISHED}"))
    previous = temporary.with_name(temporary.name + _PREVIOUS)
    with _locked(temporary):
        try:
            yield temporary
            temporary.chmod(0o755)
            for file in (temporary, *temporary.rglob("*")) if durable else ():
                _flush(file)
            if path.exists():
                path.replace(previous)
            temporary.replace(path)
            _flush(path.parent)
        except BaseException:
            if previous.exists() and not path.exists():
                previous.replace(path)
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(previous, ignore_errors=True)


def reserve(path: Path) -> None:
    """Reserve disk space for a memory-mapped file before it is written.

    A full disk is an OSError here; where a sparse file is mapped, it ends the process at the first page that finds
    no room.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _clear_up(path: Path) -> None:
    """Restore or remove what killed processes have left of an unfinished folder."""
    for left in path.parent.glob(f".{glob.escape(path.name)}{_UNFINISHED}*"):
        with suppress(OSError):
            if left.name.endswith(_PREVIOUS) and not path.exists():
                left.replace(path)
            else:
                with _locked(left) as is_ours:
                    if is_ours:
                        shutil.rmtree(left)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder, until the process ends at most; yields False if it is locked, or the disk has no locks."""
    handle = os.open(folder, os.O_RDONLY)
    is_ours = False
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = True
        yield is_ours
    finally:
        os.close(handle)


def _flush(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems have nothing to flush for a folder, and say so.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def _disk_error(error: Exception) -> int | None:
    """Return the errno of a disk error, also where torch or safetensors has wrapped it; else None."""
    number = getattr(error if isinstance(error, OSError) else error.__context__, "errno", None)
    if match := re.search(r"\(os error (\d+)\)", str(error)):
        number = int(match[1])
    return number if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO) else None


def clock_of_files(mark: Path) -> int:
    """Return the time, in ns, by the clock that files beside `mark` get theirs from: on a share, another machine's.

    Args:
        mark: a file that is written for it.
    """
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_bytes(b"\n")
    return mark.stat().st_mtime_ns


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    return _file_digest(path, hashlib.sha256())


def file_md5(path: Path) -> str:
    """Return the MD5 of a file as 32 hexadecimal digits, the hash by which DVC stores it."""
    return _file_digest(path, hashlib.md5(usedforsecurity=False))


def _file_digest(path: Path, digest: "hashlib._Hash") -> str:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Write `content` as JSON with a final newline, atomically; without `indent` in one line, for long lists."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
