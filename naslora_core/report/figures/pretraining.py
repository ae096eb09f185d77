"""The learning curve of a base model: loss and learning rate by step."""

import pandas as pd
from matplotlib.figure import Figure

from naslora_core.report.figures.style import LIGHT, panels

SMOOTHED_ROWS = 5


def draw_pretraining(curve: pd.DataFrame) -> Figure:
    """Draw the loss, and a running median of it, on the left and the learning rate on the right.

    Args:
        curve: one row for every few steps: step, loss, lr.
    """
    figure, (loss, lr) = panels(2, height_in=2.7)
    median = curve["loss"].rolling(SMOOTHED_ROWS, center=True, min_periods=1).median()
    loss.plot(curve["step"], curve["loss"], color=LIGHT["faint"], linewidth=0.9)
    loss.plot(curve["step"], median, color=LIGHT["accent"])
    loss.set_title("Loss on new scenes")
    loss.set_ylim(0, 1.05 * float(median.max()))
    lr.plot(curve["step"], curve["lr"], color=LIGHT["second"])
    lr.set_title("Learning rate")
    lr.set_ylim(bottom=0)
    for axes in (loss, lr):
        axes.set_xlabel("step")
    return figure
