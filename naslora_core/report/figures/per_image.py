"""Every test image as one dot: Dice of the base against Dice of the merged model."""

import pandas as pd
from matplotlib.figure import Figure

from naslora_core.report.figures.style import LIGHT

_SIDE_IN = 3.2


def draw_per_image(scores: pd.DataFrame) -> Figure:
    """Draw one dot per image; above the diagonal the merged model is better.

    Args:
        scores: columns "base" and "merged", Dice, one row per image.
    """
    figure = Figure(figsize=(_SIDE_IN, _SIDE_IN), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=LIGHT["faint"], linewidth=1, zorder=1)
    axes.scatter(
        scores["base"],
        scores["merged"],
        s=20,
        color=LIGHT["accent"],
        alpha=0.65,
        linewidths=0,
        zorder=2,
        clip_on=False,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_title("Dice of every test image")
    axes.set_xlabel("base")
    axes.set_ylabel("merged, better above the line")
    return figure
