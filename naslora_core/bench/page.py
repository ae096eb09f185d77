"""Format the summary of a bench table as one self-contained HTML page, styled as the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from naslora_core.bench.rivals import describe_rivals, describe_transfers
from naslora_core.report.figures.style import DARK, LIGHT
from naslora_core.report.sentences import duration, signed

_HERE = Path(__file__).parent
_LOOK = _HERE.parent / "report"
_CAPTIONS = {
    "parameters": "Dice over trained parameters",
    "cost": "Dice over the time of a training step",
    "convergence": "Validation Dice by epoch: mean and range over seeds",
}


def format_page(summary: Mapping[str, Any], charts: Mapping[str, Mapping[str, str]], command: str) -> str:
    """Return the page; it needs no other file and no network.

    Args:
        summary: what came out, from `summarise`, with a command `again` in every row.
        charts: SVG by kind by domain, from `write_figures`.
        command: what makes this page again.
    """
    loader = jinja2.FileSystemLoader([_HERE, _LOOK])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(signed=signed, duration=duration)
    domains = [
        {
            "name": name,
            "rows": rows,
            "verdict": verdict(rows, summary["reference"]),
            "refused": {row: found["merge_refused"] for row, found in rows.items() if found["merge_refused"]},
            "charts": charts.get(name, {}),
            "is_budgeted": any(row.get("estimated_inference") is not None for row in rows.values()),
        }
        for name, rows in summary["domains"].items()
        if rows
    ]
    return environment.get_template("page.html.j2").render(
        question=summary["question"],
        reference=summary["reference"],
        domains=domains,
        cost=summary["cost"],
        rivals=[*describe_rivals(summary), *describe_transfers(summary)],
        command=command,
        captions=_caption,
        light=LIGHT,
        dark=DARK,
    )


def verdict(rows: Mapping[str, Mapping[str, Any]], reference: str) -> str:
    """Say in one sentence which rows differ from the reference, as far as their intervals can tell."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
    for name, row in rows.items():
        if (difference := row["difference"]) is not None:
            better, worse = difference["low"] > 0, difference["high"] < 0
            found["better" if better else "worse" if worse else "not told apart"].append(name)
    seeds = max(row["adapted"]["seeds"] for row in rows.values())
    images = max(row["adapted"]["images"] for row in rows.values())
    basis = f"{images} test image{'' if images == 1 else 's'} and {seeds} seed{'' if seeds == 1 else 's'}"
    parts = [f"{word} {', '.join(names)}" for word, names in found.items() if names]
    return f"against {reference}, by {basis}, {'; '.join(parts) or 'nothing to compare yet'}."


def _caption(kind: str) -> str:
    return _CAPTIONS.get(kind) or f"Architecture of {kind.removeprefix('architecture-')}: mean over seeds"
