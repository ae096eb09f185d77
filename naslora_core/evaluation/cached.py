"""Work that several measures of one thing need is done once."""

from collections.abc import Callable
from typing import Any, TypeVar

Subject = TypeVar("Subject", bound="Remembering")
Value = TypeVar("Value")


class Remembering:
    """Something that is measured in several ways, some of which start with the same computation."""

    def __init__(self) -> None:
        self._known: dict[Callable[[Any], Any], Any] = {}

    def shared(self: Subject, compute: Callable[[Subject], Value]) -> Value:
        """Return `compute(self)`, from memory if it was asked for before."""
        if compute not in self._known:
            self._known[compute] = compute(self)
        return self._known[compute]
