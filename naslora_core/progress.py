"""How the core tells that long work is moving on, without printing."""

from typing import Protocol


class Progress(Protocol):
    """Called after each finished unit of work."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Tell that `done` of `total` units are finished, and which work they belong to."""
        ...


def silent(done: int, total: int, message: str) -> None:
    """Ignore progress; the default wherever nobody watches."""
