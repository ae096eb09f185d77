"""The few numbers to read first: one row per domain and model, from the files of the evaluate stage.

Imports nothing heavy, because the `naslora` command prints these rows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naslora_core.errors import DataError

MODELS = ("base", "adapted", "merged")
HEADLINE_METRICS = {"dice": "Dice", "iou": "IoU", "s_measure": "S-measure"}


@dataclass(frozen=True)
class Mean:
    """A mean over images."""

    mean: float

    def __str__(self) -> str:
        return f"{self.mean:.3f}"


@dataclass(frozen=True)
class Interval(Mean):
    """A mean over images with its bootstrap interval."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class HeadlineRow:
    """The scores of one model on one domain's test images.

    Args:
        domain: folder name of the domain.
        model: "base", "adapted" or "merged".
        images: how many test images the scores are means of; None where that is not known.
        scores: mean by metric name, in the order of `HEADLINE_METRICS`, with its interval where that is known.
    """

    domain: str
    model: str
    images: int | None
    scores: Mapping[str, Mean]


def headline_rows(evaluate_root: Path, domains: Sequence[str]) -> list[HeadlineRow]:
    """Read the headline of several domains.

    Where git has brought the means alone, as in a clone, the rows have no intervals.

    Args:
        evaluate_root: folder with one folder per domain, each with the evaluate stage's results.
        domains: which domains, in the order of the rows.

    Raises:
        DataError: if a domain was not evaluated or its results are damaged.
    """
    return [row for domain in domains for row in _rows(evaluate_root / domain, domain, intervals_needed=False)]


def domain_rows(folder: Path, domain: str) -> list[HeadlineRow]:
    """Read the headline of one domain, with intervals, from the folder of its results.

    Raises:
        DataError: if the domain was not evaluated or its results are damaged or not complete.
    """
    return _rows(folder, domain, intervals_needed=True)


def _rows(folder: Path, domain: str, intervals_needed: bool) -> list[HeadlineRow]:
    means = _read(folder / "metrics.json")
    summary = _read(folder / "summary.json") if intervals_needed or (folder / "summary.json").exists() else None
    rows = []
    try:
        for model in MODELS:
            if summary is None:
                known = {name: Mean(means[model][name]) for name in HEADLINE_METRICS}
                rows.append(HeadlineRow(domain, model, None, known))
                continue
            bounds = summary["models"][model]
            scores = {
                name: Interval(means[model][name], bounds[name]["low"], bounds[name]["high"])
                for name in HEADLINE_METRICS
            }
            rows.append(HeadlineRow(domain, model, summary["images"], scores))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{folder}: metrics.json and summary.json lack {error}; expected {', '.join(HEADLINE_METRICS)}"
            f" for {', '.join(MODELS)}. Run the evaluate stage of '{domain}' again"
        ) from error
    return rows


def format_headline(rows: Sequence[HeadlineRow]) -> str:
    """Return the rows as a plain text table; a domain's name and image count stand on its first row only."""
    table = [("domain", "images", "model", *HEADLINE_METRICS.values())]
    previous = None
    for row in rows:
        first = row.domain != previous
        previous = row.domain
        images = "" if row.images is None or not first else str(row.images)
        table.append((row.domain if first else "", images, row.model, *map(str, row.scores.values())))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, tuple("-" * width for width in widths))
    lines = []
    has_intervals = any(isinstance(score, Interval) for row in rows for score in row.scores.values())
    for domain, images, *cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths[2:], strict=True)]
        lines.append("  ".join([domain.ljust(widths[0]), images.rjust(widths[1]), *padded]).rstrip())
    return "\n".join(lines) + f"\nMean over test images{' [95 % bootstrap interval]' if has_intervals else ''}."


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} not found; the evaluate stage writes it: start naslora run") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}); run the evaluate stage again") from error
