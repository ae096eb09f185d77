"""Look at files without reading them: size, times and inode of each, in one pass that follows symbolic links."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

_ABSENT = "0 0 0 0 "


@dataclass
class Looks:
    """How files look.

    Args:
        lines: one for every file, sorted: size in bytes, time of content, time of inode (both in nanoseconds since
            1970), inode, path relative to the project. Zeros are for what is not there.
        recent: sizes of the files that were written after a given time, by path.
    """

    lines: list[str] = field(default_factory=list)
    recent: dict[str, int] = field(default_factory=dict)

    @property
    def encoded(self) -> bytes:
        """All lines as bytes; a file's name may be no UTF-8."""
        return "\n".join(self.lines).encode("utf-8", "surrogateescape")

    @property
    def digest(self) -> str:
        """A hash that differs if any file looks different."""
        return blake2b(self.encoded).hexdigest()


def look(root: Path, names: Sequence[str], recent_ns: int = 0) -> Looks:
    """Look at files, and at all files in folders.

    Args:
        root: the project's folder, whose .dvcignore names what is left out. Its patterns are not followed: what only
            they leave out is looked at, and DVC is asked once more than necessary.
        names: files and folders relative to `root`.
        recent_ns: files written after this time, in nanoseconds since 1970, are listed as recent; 0 is for none.

    Raises:
        OSError: if a folder cannot be listed, or links go in a circle.
    """
    pass_ = _Pass(_ignored(root), recent_ns or (1 << 63))
    for name in names:
        path = root / name
        if path.is_dir():
            pass_.look_into(str(path), name)
        elif path.exists():
            pass_.add(name, path.stat())
        else:
            pass_.seen.lines.append(_ABSENT + name)
    pass_.seen.lines.sort()
    return pass_.seen


def by_path(encoded: bytes) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Yield path and look of every file: size, time of content, time of inode, inode."""
    for line in encoded.decode("utf-8", "surrogateescape").split("\n"):
        parts = line.split(" ", 4)
        if len(parts) == 5 and all(part.isdecimal() for part in parts[:4]):  # a name may hold the end of a line
            size, mtime, ctime, inode = map(int, parts[:4])
            yield parts[4], (size, mtime, ctime, inode)


@dataclass(frozen=True)
class _Ignored:
    names: frozenset[str]
    paths: frozenset[str]

    def in_folder(self, relative: str) -> frozenset[str]:
        """Return the names that are left out in a folder."""
        inside = {path.rpartition("/")[2] for path in self.paths if path.rpartition("/")[0] == relative}
        return self.names | inside


class _Pass:
    """One pass over all files; written for speed, because there may be millions."""

    def __init__(self, ignored: _Ignored, recent_ns: int) -> None:
        self._ignored, self._recent_ns = ignored, recent_ns
        self.seen = Looks()

    def add(self, path: str, seen: os.stat_result) -> None:
        self.seen.lines.append(f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino} {path}")
        if seen.st_ctime_ns > self._recent_ns or seen.st_mtime_ns > self._recent_ns:
            self.seen.recent[path] = seen.st_size

    def look_into(self, folder: str, relative: str) -> None:
        folders = []
        ignored = self._ignored.in_folder(relative)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in ignored:
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                try:
                    self.add(f"{relative}/{entry.name}", entry.stat())
                except FileNotFoundError:  # a link to nowhere, or gone in between
                    self.seen.lines.append(f"{_ABSENT}{relative}/{entry.name}")
        for name in folders:
            self.look_into(f"{folder}/{name}", f"{relative}/{name}")


def _ignored(root: Path) -> _Ignored:
    try:
        lines = (root / ".dvcignore").read_text(encoding="utf-8").split("\n")
    except OSError:
        lines = []
    plain = [line.strip() for line in lines if line.strip() and not set("*?[!#\\") & set(line)]
    names = frozenset(name for name in plain if "/" not in name)
    return _Ignored(names, frozenset(path[1:] for path in plain if path.startswith("/")))
