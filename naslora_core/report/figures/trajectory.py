"""The mean weight of each primitive and the entropy of each layer, by epoch."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from naslora_core.adapted.searched_layers import normalised_entropy
from naslora_core.report.figures.style import LIGHT, label_line_ends, mark_kept_epoch, panels


def draw_trajectory(alphas: pd.DataFrame, kept_epoch: int) -> Figure:
    """Draw the mean weight of each primitive on the left and the entropy of each layer on the right.

    Args:
        alphas: one row per epoch, layer and primitive; weight is a softmax over a layer's primitives.
        kept_epoch: the epoch whose weights the model holds.
    """
    figure, (weights, entropy) = panels(2, height_in=3.1)
    _draw_weights(weights, alphas)
    _draw_entropy(entropy, alphas)
    for axes in (weights, entropy):
        mark_kept_epoch(axes, kept_epoch)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return figure


def _draw_weights(axes: Axes, alphas: pd.DataFrame) -> None:
    means = alphas.groupby(["epoch", "primitive"])["weight"].mean().unstack()
    last = means.index[-1]
    order = list(means.loc[last].sort_values(ascending=False).index)
    colours = dict.fromkeys(order, LIGHT["muted"]) | dict(zip(order, (LIGHT["accent"], LIGHT["second"]), strict=False))
    for rank, primitive in reversed(list(enumerate(order))):
        width = 2.2 if rank < 2 else 1.0
        axes.plot(means.index, means[primitive], color=colours[primitive], linewidth=width, zorder=3 - (rank > 1))
    uniform = 1 / len(order)
    axes.axhline(uniform, color=LIGHT["faint"], linewidth=0.9, linestyle=(0, (3, 3)))
    axes.set_ylim(0, max(2 * uniform, float(means.to_numpy().max()) * 1.1))
    axes.set_title("Weight of each primitive, mean over layers (dashed: equal)")
    ends = [(float(means.loc[last, name]), str(name), colours[name]) for name in order]
    label_line_ends(axes, ends, float(last))


def _draw_entropy(axes: Axes, alphas: pd.DataFrame) -> None:
    by_layer = alphas.groupby(["epoch", "layer"])["weight"].apply(lambda w: normalised_entropy(w.to_numpy()))
    table = by_layer.unstack()
    axes.plot(table.index, table, color=LIGHT["faint"], linewidth=0.9)
    mean = table.mean(axis=1)
    axes.plot(mean.index, mean, color=LIGHT["accent"], linewidth=2.2)
    axes.set_ylim(0, 1.04)
    axes.set_title("Entropy of the weights: 1 is undecided, 0 a single choice")
    end = float(mean.iloc[-1])
    label_line_ends(axes, [(end, f"mean {end:.2f}", LIGHT["accent"])], float(mean.index[-1]))
