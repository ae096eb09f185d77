"""The few numbers to read first: one row per domain and model, from the files of the evaluate stage.

Imports nothing heavy, because the `naslora` command prints these rows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naslora_core.errors import DataError

MODELS = ("base", "adapted", "merged")
HEADLINE_METRICS = {"dice": "Dice", "iou": "IoU", "s_measure": "S-measure"}


@dataclass(frozen=True)
class Interval:
    """A mean over images with its bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class HeadlineRow:
    """The scores of one model on one domain's test images.

    Args:
        domain: folder name of the domain.
        model: "base", "adapted" or "merged".
        images: how many test images the scores are means of.
        scores: interval by metric name, in the order of `HEADLINE_METRICS`.
    """

    domain: str
    model: str
    images: int
    scores: dict[str, Interval]


def headline_rows(evaluate_root: Path, domains: Sequence[str]) -> list[HeadlineRow]:
    """Read the headline of several domains.

    Args:
        evaluate_root: folder with one folder per domain, each with the evaluate stage's results.
        domains: which domains, in the order of the rows.

    Raises:
        DataError: if a domain was not evaluated or its results are damaged.
    """
    return [row for domain in domains for row in domain_rows(evaluate_root / domain, domain)]


def domain_rows(folder: Path, domain: str) -> list[HeadlineRow]:
    """Read the headline of one domain from the folder of its results; raises DataError as `headline_rows`."""
    means = _read(folder / "metrics.json")
    summary = _read(folder / "summary.json")
    rows = []
    try:
        for model in MODELS:
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
        scores = [f"{s.mean:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in row.scores.values()]
        table.append((row.domain if first else "", str(row.images) if first else "", row.model, *scores))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, tuple("-" * width for width in widths))
    lines = []
    for domain, images, *cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths[2:], strict=True)]
        lines.append("  ".join([domain.ljust(widths[0]), images.rjust(widths[1]), *padded]).rstrip())
    return "\n".join(lines) + "\nMean over test images [95 % bootstrap interval]."


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} not found; the evaluate stage writes it: start naslora run") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}); run the evaluate stage again") from error
