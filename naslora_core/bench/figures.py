"""Charts of a bench table: accuracy against cost, convergence over seeds, architectures."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from naslora_core.adapted.searched_layers import Layer, mean_layers
from naslora_core.bench.results import TrainingFolders, read_genotype
from naslora_core.bench.table import Training
from naslora_core.report.figures.architecture import draw_architecture
from naslora_core.report.figures.style import LIGHT, chart_style, label_line_ends, panels, to_svg, write_png

_COLOURS = ("accent", "second", "ink", "muted", "heat", "faint")
# Of more rows than colours.
_STYLES = ("-", "--", ":", "-.")


def write_figures(
    folder: Path, summary: Mapping[str, Any], trainings: Mapping[Training, TrainingFolders]
) -> dict[str, dict[str, str]]:
    """Write every chart there is data for as PNG into an existing folder.

    Returns:
        The same pictures as SVG elements for a page, by kind by domain.
    """
    drawn: dict[str, dict[str, str]] = {}
    with chart_style():
        for domain, kind, figure in _figures(summary, trainings):
            name = f"{domain}-{kind}"
            drawn.setdefault(domain, {})[kind] = to_svg(figure, name)
            write_png(figure, folder / f"{name}.png")
    return drawn


def _figures(
    summary: Mapping[str, Any], trainings: Mapping[Training, TrainingFolders]
) -> Iterator[tuple[str, str, Figure]]:
    for domain, rows in summary["domains"].items():
        if not rows:
            continue
        parameters = {name: row["trainable_parameters"] for name, row in rows.items()}
        yield domain, "parameters", draw_tradeoff(rows, parameters, "trained parameters", logarithmic=True)
        steps = {name: cost.get("search_ratio", cost["ratio"]) for name, cost in summary["cost"].items()}
        if steps:
            label = f"time of a training step / {summary['reference']}"
            yield domain, "cost", draw_tradeoff(rows, steps, label, logarithmic=False)
        own = {
            training: folders
            for training, folders in trainings.items()
            if training.domain == domain and not folders.is_rival
        }
        if own:
            yield domain, "convergence", draw_convergence(own)
        for row in dict.fromkeys(training.row for training in own):
            layers, space = mean_architecture([folders for training, folders in own.items() if training.row == row])
            if layers:
                yield domain, f"architecture-{row.replace(':', '-')}", draw_architecture(layers, space)


def draw_tradeoff(
    rows: Mapping[str, Mapping[str, Any]], prices: Mapping[str, float], label: str, logarithmic: bool
) -> Figure:
    """Draw Dice with its interval over what a row costs.

    Args:
        rows: of one domain, by name.
        prices: of those rows that have one.
        label: what the price is.
        logarithmic: draw it on a logarithmic scale.
    """
    figure, (axes,) = panels(1, height_in=3.6)
    for name in rows.keys() & prices.keys():
        score = rows[name]["adapted"]
        errors = [[score["mean"] - score["low"]], [score["high"] - score["mean"]]]
        axes.errorbar(prices[name], score["mean"], errors, fmt="o", color=LIGHT["accent"], elinewidth=1)
        axes.annotate(name, (prices[name], score["mean"]), xytext=(5, 4), textcoords="offset points", fontsize=8)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("Dice on the test images")
    return figure


def draw_convergence(trainings: Mapping[Training, TrainingFolders]) -> Figure:
    """Draw validation Dice by epoch: the mean over seeds as a line, from the worst to the best as a band."""
    figure, (axes,) = panels(1, height_in=3.6)
    ends, last = [], 1.0
    for place, row in enumerate(dict.fromkeys(training.row for training in trainings)):
        curves = pd.concat(
            [_history(folders).rename(training.seed) for training, folders in trainings.items() if training.row == row],
            axis=1,
        )
        colour = LIGHT[_COLOURS[place % len(_COLOURS)]]
        _draw_band(axes, curves, colour, _STYLES[place // len(_COLOURS) % len(_STYLES)])
        ends.append((float(curves.mean(axis=1).iloc[-1]), row, colour))
        last = max(last, float(curves.index[-1]))
    axes.set_xlabel("epoch")
    axes.set_ylabel("Dice on the validation images")
    label_line_ends(axes, ends, last)
    return figure


def mean_architecture(trainings: list[TrainingFolders]) -> tuple[list[Layer], list[str]]:
    """Return the searched layers of one row, with the means of their weights over the seeds, and the space."""
    return mean_layers([read_genotype(folders) for folders in trainings])


def _draw_band(axes: Axes, curves: pd.DataFrame, colour: str, style: str) -> None:
    axes.plot(curves.index, curves.mean(axis=1), style, color=colour, marker="o", markersize=3)
    axes.fill_between(curves.index, curves.min(axis=1), curves.max(axis=1), color=colour, alpha=0.15, linewidth=0)


def _history(folders: TrainingFolders) -> pd.Series:
    return pd.read_csv(folders.search_train / "history.csv").set_index("epoch")["validation_dice"]
