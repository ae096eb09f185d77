"""Watch for changed data by polling, which works on network shares too.

File systems report changes of local disks only.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from naslora_core.files import atomic_file

# Not data.dvc: a run writes it, and would so be the reason of another run.
_WATCHED = ("data", "params.yaml")


class Watcher:
    """Detects that the data has changed and is no longer changing.

    The last reported state is kept in .naslora/watched, so that a change while nothing was watching is found as well.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._record = root / ".naslora" / "watched"
        self._previous = ""

    def poll(self) -> str | None:
        """Return the state of the data if it is new and the same as at the last poll, else None.

        A copy of many files takes a while; a change counts once two polls in a row see the same.
        """
        state = fingerprint(self._root)
        settled, self._previous = state == self._previous, state
        known = self._record.read_text(encoding="utf-8") if self._record.is_file() else ""
        return state if settled and state != known else None

    def mark_reported(self, state: str) -> None:
        """Store that `state` has been reported, so that it is not reported again; call it once the message is out."""
        with atomic_file(self._record) as temporary:
            temporary.write_text(state, encoding="utf-8")


def fingerprint(root: Path) -> str:
    """Return a SHA-256 over names, sizes and times of everything that is watched; reads no file."""
    digest = hashlib.sha256()
    for name in _WATCHED:
        for path, stat in sorted(_entries(root / name)):
            digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def watch(root: Path, every_s: float, tell: Callable[[str], None], before: Callable[[], object] = lambda: None) -> None:
    """Poll every `every_s` seconds, for ever, and call `tell` with each new state.

    If `tell` raises OSError, the same state is reported again at the next poll.

    Args:
        root: the project's folder.
        every_s: seconds between two polls.
        tell: gets each new state.
        before: called before each poll.
    """
    watcher = Watcher(root)
    while True:
        before()
        if state := watcher.poll():
            try:
                tell(state)
                watcher.mark_reported(state)
            except OSError:
                # The server is away for a moment; the state is not forgotten.
                pass
        time.sleep(every_s)


def _entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if path.is_file():
        yield str(path), path.stat()
    elif path.is_dir():
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from _entries(Path(entry.path))
                elif not entry.name.startswith("."):
                    yield entry.path, entry.stat()
