"""Names of files in one Unicode form, and folders that are walked without going in circles.

"ü" is one letter or "u" and two dots: macOS writes the second into its archives, most annotation files have the first.
"""

import unicodedata
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from naslora_core.errors import few


def one_form(name: str) -> str:
    """Return a name in the form NFC, in which names are compared."""
    return unicodedata.normalize("NFC", name)


def find_named(path: Path, folder: Path) -> Path | None:
    """Return the file or folder at `path`, or the one whose name differs from it in the Unicode form alone.

    Args:
        path: to look for, within `folder`.
        folder: where the search begins; its own name is taken as it is.

    Returns:
        The path on the disk; None if there is none, or `path` leads out of `folder`.
    """
    if ".." in path.parts or not path.is_relative_to(folder) or "\0" in str(path):
        return None
    if path.exists():
        return path
    place = folder
    for part in path.relative_to(folder).parts:
        if not (place / part).exists():
            wanted = one_form(part)
            same = [path.name for path in place.iterdir() if one_form(path.name) == wanted] if place.is_dir() else []
            if not same:
                return None
            part = same[0]
        place /= part
    return place


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder and its folders, sorted in each, without hidden ones.

    Links to folders are followed, after all that lies in the folder itself; a folder that several links lead to, or
    that lies around the link, is walked once.
    """
    waiting, links = deque([folder]), deque[Path]()
    seen: set[tuple[int, int]] = set()
    while waiting or links:
        place = waiting.popleft() if waiting else links.popleft()
        try:
            about = place.stat()
            entries = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        except OSError:
            continue
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for path in entries:
            if path.name == "__MACOSX":
                continue
            if path.is_dir():
                (links if path.is_symlink() else waiting).append(path)
            elif path.is_file():
                yield path


def count_suffixes(paths: Iterable[Path], most: int = 5) -> str:
    """Return how many files there are of each suffix, most frequent first: "3 .heic, 1 .txt, 1 without suffix"."""
    counts = Counter(path.suffix.lower() or "without suffix" for path in paths)
    shown = [f"{count} {suffix}" for suffix, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]
    return few(shown, most)
