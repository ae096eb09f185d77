"""Write the results of `naslora bench`: a page, Markdown, JSON, Parquet and charts."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from naslora_core.bench.cost import compare_training
from naslora_core.bench.figures import write_figures
from naslora_core.bench.markdown import format_table
from naslora_core.bench.page import format_page
from naslora_core.bench.results import read_results, summarise, write_results
from naslora_core.bench.table import Table
from naslora_core.files import atomic_file, write_json
from naslora_core.progress import Progress
from naslora_core.reading import read_object
from pipelines.bench.jobs import FORMAT, Job, row_params


def write_bench(
    folder: Path,
    root: Path,
    table: Table,
    finished: Sequence[Job],
    extra: Sequence[str],
    rounds: int,
    progress: Progress,
    command: Sequence[str],
) -> str:
    """Write index.html, table.md, table.json, results.parquet and charts, and return the Markdown.

    Args:
        folder: where to; made if it is missing.
        root: the project's folder.
        table: what was asked for.
        finished: the jobs there are results of; at least one.
        extra: settings of the command line.
        rounds: turns in which the cost of a step is measured; 0 leaves it out.
        progress: reports the measurement.
        command: what makes all this again.
    """
    trainings = {job.training: job.folders() for job in finished}
    results = read_results(trainings)
    cost = _cost(folder / "cost.json", root, table, extra, rounds, progress)
    summary = summarise(table, trainings, results, cost, seed=finished[0].params.seed)
    for domain, rows in summary["domains"].items():
        for row in rows:
            own = [f"--only={training}" for training in trainings if (training.domain, training.row) == (domain, row)]
            rows[row]["again"] = shlex.join([*command, *own])
    line = shlex.join(command)
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder / "results.parquet", results)
    write_json(folder / "table.json", {"format": FORMAT, "command": line, **summary})
    for picture in folder.glob("*.png"):
        # Of the same table on other domains, or with other rows.
        picture.unlink()
    charts = write_figures(folder, summary, trainings)
    markdown = format_table(table, summary, line)
    for name, text in {"table.md": markdown, "index.html": format_page(summary, charts, line)}.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return markdown


def _cost(
    path: Path, root: Path, table: Table, extra: Sequence[str], rounds: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Return the cost of a training step of every row; measurements of the same settings are reused."""
    rows = {row: row_params(root, table, row, extra) for row in table.rows}
    about: dict[str, Any] = {name: params.model_dump(mode="json") for name, params in rows.items()} | {"rounds": rounds}
    if path.is_file() and (saved := _saved_cost(path)).get("of") == about:
        measured: dict[str, dict[str, float]] = saved["cost"]
        return measured
    if not rounds:
        return {}
    found = compare_training(rows, table.reference, rounds, progress)
    write_json(path, {"format": FORMAT, "of": about, "cost": found})
    return found


def _saved_cost(path: Path) -> dict[str, Any]:
    """Return the costs that an earlier table measured; empty if the file is damaged or of another version."""
    try:
        saved = read_object(path)
    except ValueError:
        return {}
    # The first version wrote no number.
    return saved if saved.get("format", 1) == FORMAT and isinstance(saved.get("cost"), dict) else {}
