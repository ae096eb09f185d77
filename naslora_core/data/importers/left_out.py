"""What an import leaves out instead of stopping: odd lines and files, and files that are no images."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import count_suffixes
from naslora_core.errors import DataError

# What a layout beside plain folders may hold beside its images.
_NOTES = frozenset(
    {
        ".cfg",
        ".csv",
        ".geojson",
        ".json",
        ".md",
        ".names",
        ".npy",
        ".npz",
        ".roi",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
        ".zip",
    }
)
_NAMED = 5
_Item = TypeVar("_Item")
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class LeftOut:
    """Takes the errors of single lines, objects and files: raises the first, or, with `skip`, collects all.

    Attributes:
        skip: leave odd ones out.
        errors: the messages, each once, in the order in which they came.
    """

    skip: bool = False
    errors: dict[str, None] = field(default_factory=dict)

    def add(self, error: DataError) -> None:
        """Take an error of one line, object or file, which is left out.

        Raises:
            DataError: the same, unless odd ones are to be left out.
        """
        if not self.skip:
            raise error
        self.errors.setdefault(str(error))

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Take the DataError that the block ends with, if it does, as `add` takes it."""
        try:
            yield
        except DataError as error:
            self.add(error)

    def read_each(self, read: Callable[[_Item], _Read], items: Iterable[_Item]) -> list[_Read]:
        """Return what `read` makes of each item, without those for which it raises an error that is taken."""
        found: list[_Read] = []
        for item in items:
            with self.taking():
                found.append(read(item))
        return found

    def lines(self) -> list[str]:
        """Return how many were left out, and the first of them."""
        if not self.errors:
            return []
        shown = list(self.errors)[:_NAMED]
        rest = [f"… and {len(self.errors) - len(shown)} more"] * (len(self.errors) > len(shown))
        return [
            f"{len(self.errors)} odd lines and files were left out (--skip-bad):",
            *map("  {}".format, shown + rest),
        ]


def unused_files(used: Collection[Path], plain: bool) -> str:
    """Return how many files beside those that were found are left out, by suffix; "" if there are none.

    Args:
        used: the files that were found; looked at are the folders they lie in.
        plain: the folders hold images and masks alone, so that anything else is odd.
    """
    beside = [path for folder in sorted({path.parent for path in used}) for path in _files(folder) if path not in used]
    images = [path for path in beside if path.suffix.lower() in IMAGE_SUFFIXES]
    others = [path for path in beside if path not in set(images) and (plain or path.suffix.lower() not in _NOTES)]
    said = [f"no images that are read here ({count_suffixes(others)})"] if others else []
    said += [f"images that belong to no pair ({count_suffixes(images)})"] if images else []
    count = len(others) + len(images)
    files = f"{count} file{'' if count == 1 else 's'}"
    return f"{files} beside the others left out: {'; '.join(said)}" if said else ""


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.is_file())
