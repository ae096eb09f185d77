"""How the core tells that long work is moving on, without printing."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Called after each finished unit of work."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Tell that `done` of `total` units are finished, and which work they belong to."""
        ...


def silent(done: int, total: int, message: str) -> None:
    """Ignore progress; the default wherever nobody watches."""


def with_progress(items: Sequence[Item], progress: Progress, message: str) -> Iterator[Item]:
    """Yield items one after the other, and tell after each how many are finished."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, len(items), message)
