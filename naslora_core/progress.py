"""The callback by which the core reports progress without printing."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Called after each finished unit of work."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Report that `done` of `total` units are finished, of the work that `message` names."""
        ...


def silent(done: int, total: int, message: str) -> None:
    """Ignore progress; the default."""


def with_progress(items: Sequence[Item], progress: Progress, message: str) -> Iterator[Item]:
    """Yield items one by one, and report progress after each."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, len(items), message)
