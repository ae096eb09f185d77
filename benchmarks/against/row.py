"""What a row of the table is, and where all rows are found."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.against import rows
from benchmarks.against.compare import Comparison, Target
from benchmarks.against.earlier import BEFORE


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        rounds: turns of every way, of which medians are printed.
        threads: of torch and its like.
        before: the commit that rows against an earlier state of the project compare with.
        folder: a place for files of any size, removed afterwards.
        data: a folder of real datasets, for rows that take one.
    """

    rounds: int = 5
    threads: int = 1
    before: str = BEFORE
    folder: Path = Path()
    data: Path | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        work: what is measured.
        against: what it is measured against, by name of the rival.
        targets: what is aimed at.
        measure: does it.
    """

    work: str
    against: str
    targets: tuple[Target, ...]
    measure: Callable[[Options], Comparison]


def all_rows() -> dict[str, Row]:
    """Return the rows by name: those in the `ROWS` of every module in the folder rows/."""
    found: dict[str, Row] = {}
    for module in pkgutil.iter_modules(rows.__path__):
        found |= importlib.import_module(f"{rows.__name__}.{module.name}").ROWS
    return found
