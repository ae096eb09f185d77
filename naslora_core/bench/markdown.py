"""Format the summary of a bench table as Markdown."""

from collections.abc import Mapping
from typing import Any

from naslora_core.bench.rivals import describe_rivals, describe_transfers
from naslora_core.bench.table import Table

_SCORES = (
    "row", "seeds", "Dice [95 %]", "difference to {reference} [95 %]", "merged", "Dice merged", "inference / base",
    "trained parameters", "training s",
)  # fmt: skip
# Only where a row was made to keep a budget.
_BUDGET = ("inference, estimated", "adapter parameters")
_COSTS = ("row", "step / {reference}", "CPU time", "with search", "CPU time with search", "peak memory")


def format_table(table: Table, summary: Mapping[str, Any], command: str) -> str:
    """Return a Markdown page: one table for each domain, and one of what a step costs.

    Args:
        table: what was asked for.
        summary: what came out, from `summarise`, with a command `again` in every row.
        command: what makes this page again.
    """
    parts = [f"# {table.question}", f"    {command}"]
    for domain, rows in summary["domains"].items():
        is_budgeted = any(row["estimated_inference"] is not None for row in rows.values())
        titles = [title.format(reference=table.reference) for title in (*_SCORES, *(_BUDGET if is_budgeted else ()))]
        lines = [_score_line(name, row) + (_budget_cells(row) if is_budgeted else []) for name, row in rows.items()]
        parts += [f"## {domain}", _grid(titles, lines)]
    if summary["cost"]:
        lines = [_cost_line(name, row) for name, row in summary["cost"].items()]
        parts += ["## A training step", _grid([title.format(reference=table.reference) for title in _COSTS], lines)]
    if rivals := describe_rivals(summary):
        parts += ["## Rivals", "\n".join(f"- {line}" for line in rivals)]
    if transfers := describe_transfers(summary):
        parts += ["## Transfers", "\n".join(f"- {line}" for line in transfers)]
    notes = [
        f"- {domain}, {name}: {row['merge_refused']}"
        for domain, rows in summary["domains"].items()
        for name, row in rows.items()
        if row["merge_refused"]
    ]
    if notes:
        parts += ["## Merged only with a loss that would not be shipped", "\n".join(notes)]
    again = [
        f"- {domain}, {name}: `{row['again']}`"
        for domain, rows in summary["domains"].items()
        for name, row in rows.items()
    ]
    parts += ["## One row anew", "\n".join(again)]
    parts.append(
        "Dice over test images of the adapted model, at their own size. Intervals draw images and seeds anew; with one "
        "seed they say nothing about others. Differences are paired, image by image. Costs are medians over turns "
        f"with {table.reference} in one process."
    )
    return "\n\n".join(parts) + "\n"


def _score_line(name: str, row: Mapping[str, Any]) -> list[str]:
    return [
        name,
        str(row["adapted"]["seeds"]),
        _interval(row["adapted"]),
        _interval(row["difference"], signed=True),
        ", ".join(row["merge"]) + (" (see below)" if row["merge_refused"] else ""),
        f"{row['merged']['mean']:.4f}",
        _figure(row["latency_ratio"], ".2f"),
        f"{row['trainable_parameters']:,}",
        _figure(row["train_seconds"], ".0f"),
    ]


def _budget_cells(row: Mapping[str, Any]) -> list[str]:
    return [_figure(row["estimated_inference"], ".3f"), _figure(row["adapter_parameters"], ",.0f")]


def _cost_line(name: str, row: Mapping[str, float]) -> list[str]:
    keys = ("ratio", "cpu_ratio", "search_ratio", "search_cpu_ratio", "memory_ratio")
    return [name, *(f"{row[key]:.2f}" if key in row else "" for key in keys)]


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _interval(value: Mapping[str, float] | None, signed: bool = False) -> str:
    if value is None:
        return ""
    sign = "+" if signed else ""
    return f"{value['mean']:{sign}.4f} [{value['low']:{sign}.4f}, {value['high']:{sign}.4f}]"


def _grid(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
