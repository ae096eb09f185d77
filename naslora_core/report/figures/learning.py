"""The learning curve: losses and validation Dice by epoch."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from naslora_core.report.figures.style import LIGHT, label_line_ends, mark_kept_epoch, panels


def draw_learning(history: pd.DataFrame, kept_epoch: int) -> Figure:
    """Draw the losses on the left and validation Dice on the right.

    Args:
        history: one row per epoch: epoch, train_loss, arch_loss (empty where no alphas were updated),
            validation_dice.
        kept_epoch: the epoch whose weights the model holds.
    """
    figure, (losses, dice) = panels(2, height_in=2.7)
    last = float(history["epoch"].max())
    ends = []
    for column, label, colour in (
        ("train_loss", "weights", LIGHT["accent"]),
        ("arch_loss", "alphas", LIGHT["second"]),
    ):
        curve = history[["epoch", column]].dropna()
        if len(curve):
            _line(losses, curve, colour)
            ends.append((float(curve[column].iloc[-1]), label, colour))
    losses.set_title("Loss on the training split")
    losses.set_ylim(bottom=0)
    label_line_ends(losses, ends, last)
    _line(dice, history[["epoch", "validation_dice"]], LIGHT["accent"])
    dice.set_title("Dice on the validation split")
    dice.set_ylim(0, 1)
    end = float(history["validation_dice"].iloc[-1])
    label_line_ends(dice, [(end, f"{end:.3f}", LIGHT["accent"])], last)
    mark_kept_epoch(dice, kept_epoch)
    return figure


def _line(axes: Axes, curve: pd.DataFrame, colour: str) -> None:
    epoch, values = curve.iloc[:, 0], curve.iloc[:, 1]
    axes.plot(epoch, values, color=colour)
    axes.plot(epoch.iloc[-1], values.iloc[-1], marker="o", markersize=4.5, color=colour, clip_on=False)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
