"""Recover from a truncated file of dvc's, left when dvc was killed or the disk was full."""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What dvc 3 prints about files that are cut off; of a conflict in git it says more, and that is for people to solve.
_TABLE_CUT_OFF = "Unable to read RWLock-file"
_RECORD_CUT_OFF = ("dvc.lock' is invalid.", "dvc.lock' validation failed")
_DAMAGED_RECORD = Path(".naslora", "dvc.lock.damaged")


def recover(root: Path, printed: str, say: Callable[[str], None]) -> bool:
    """Delete or rename the truncated file that kept dvc from starting; return whether to try again.

    DVC writes its table of who reads and writes what, and dvc.lock, in place. Without the first it takes nobody to
    be at work; without the second it finds what every stage made in its cache.

    Args:
        root: the project's folder.
        printed: what the dvc that failed has said.
        say: gets a line with what was removed, and where to find it.
    """
    state = root / ".dvc" / "tmp"
    if _TABLE_CUT_OFF in printed:
        with _held(state / "rwlock.lock") as is_ours:
            if is_ours:
                _remove_table(state / "rwlock", say)
        return True
    if any(sign in printed for sign in _RECORD_CUT_OFF):
        with _held(state / "lock") as is_ours:
            if is_ours:
                _set_aside(root, say)
        return True
    return False


def _remove_table(table: Path, say: Callable[[str], None]) -> None:
    try:
        json.loads(table.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        table.unlink()
        say("a dvc that was ended has left half a table of who is at work; it is removed")


def _set_aside(root: Path, say: Callable[[str], None]) -> None:
    (root / _DAMAGED_RECORD).parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        (root / "dvc.lock").replace(root / _DAMAGED_RECORD)
        say(f"dvc.lock was cut off and is now {_DAMAGED_RECORD}; what it recorded comes back from DVC's cache")


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold the lock under which dvc writes a file; yields False while a dvc is writing."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
