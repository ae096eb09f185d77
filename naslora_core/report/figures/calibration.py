"""Scores by threshold, and calibration: the share of foreground by probability."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from naslora_core.report.figures.style import LIGHT, label_line_ends, panels

_COLOURS = {"base": LIGHT["muted"], "adapted": LIGHT["second"], "merged": LIGHT["accent"]}


def draw_calibration(thresholds: pd.DataFrame, calibration: pd.DataFrame, threshold: float) -> Figure:
    """Draw Dice, with precision and recall of the merged model, by threshold; and beside it the calibration.

    Args:
        thresholds: model, threshold, dice, precision, recall; means over images.
        calibration: model, pixels, mean_probability, foreground_share; one row per bin of probabilities.
        threshold: the one that was used.
    """
    figure, (scores, shares) = panels(2, height_in=3.2)
    _draw_scores(scores, thresholds, threshold)
    _draw_shares(shares, calibration)
    return figure


def _draw_scores(axes: Axes, table: pd.DataFrame, threshold: float) -> None:
    ends = []
    for model, colour in _COLOURS.items():
        rows = table[table["model"] == model].sort_values("threshold")
        axes.plot(rows["threshold"], rows["dice"], color=colour, linewidth=2.2 if model == "merged" else 1.4)
        ends.append((float(rows["dice"].iloc[-1]), f"Dice, {model}", colour))
    merged = table[table["model"] == "merged"].sort_values("threshold")
    for column, dashes in (("precision", (0, (4, 2))), ("recall", (0, (1, 1.5)))):
        axes.plot(merged["threshold"], merged[column], color=LIGHT["accent"], linewidth=1, linestyle=dashes)
        ends.append((float(merged[column].iloc[-1]), column, LIGHT["accent"]))
    axes.axvline(threshold, color=LIGHT["faint"], linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    axes.set_ylim(0, 1)
    axes.set_xlim(float(table["threshold"].min()), float(table["threshold"].max()))
    axes.set_title(f"Scores by threshold (dotted: {threshold:g}, the one in use)")
    axes.set_xlabel("probability above which a pixel is foreground")
    label_line_ends(axes, ends, float(merged["threshold"].iloc[-1]))


def _draw_shares(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=LIGHT["faint"], linewidth=1, zorder=1)
    ends = []
    for model, colour in _COLOURS.items():
        rows = table[(table["model"] == model) & (table["pixels"] > 0)].sort_values("mean_probability")
        axes.plot(rows["mean_probability"], rows["foreground_share"], color=colour, linewidth=1.2, marker="o",
                  markersize=4, alpha=0.9)  # fmt: skip
        ends.append((float(rows["foreground_share"].iloc[-1]), model, colour))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title("Calibration (on the line: probabilities come true)")
    axes.set_xlabel("mean predicted probability of a bin")
    axes.set_ylabel("share that is foreground")
    label_line_ends(axes, ends, 1.0)
