"""The architecture weights of each layer by epoch, and their entropy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from naslora_core.adapted.searched_layers import Layer, normalised_entropy
from naslora_core.report.architecture import layer_label
from naslora_core.report.figures.style import LIGHT, WIDTH_IN

MOST_PANELS = 32
_COLUMNS = 4

# Colour and opacity of a primitive's band.
Look = tuple[str, float]


def draw_layers(layers: Sequence[Layer], space: Sequence[str], alphas: pd.DataFrame, kept_epoch: int) -> Figure:
    """Draw a panel for each layer: weights as bands that fill 0..1, in the order of the space, and entropy as a line.

    Of more than 32 layers, 32 from the first to the last are drawn.

    Args:
        layers: the searched layers, in the order of the model.
        space: the primitives, in the order of the search space.
        alphas: one row per epoch, layer and primitive; weights of a layer sum to one.
        kept_epoch: the epoch whose weights the model holds.
    """
    shown = first_to_last(layers, MOST_PANELS)
    rows, looks = -(-len(shown) // _COLUMNS), _looks(space, alphas)
    figure = Figure(figsize=(WIDTH_IN, 0.7 + 1.55 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes, layer in zip(grid.flat, shown, strict=False):
        weights = alphas[alphas["layer"] == layer.name].pivot(index="epoch", columns="primitive", values="weight")
        _draw_layer(axes, weights[list(space)], looks, kept_epoch)
        axes.set_title(layer_label(layer), pad=5, fontsize=8.5)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    bands = [Patch(facecolor=colour, alpha=opacity, label=name) for name, (colour, opacity) in looks.items()]
    title = f"{len(shown)} of {len(layers)} layers" if len(shown) < len(layers) else None
    figure.legend(handles=bands, loc="outside upper left", ncols=5, frameon=False, fontsize=8, title=title)
    return figure


def _draw_layer(axes: Axes, weights: pd.DataFrame, looks: dict[str, Look], kept_epoch: int) -> None:
    lower = np.zeros(len(weights))
    for name, (colour, opacity) in looks.items():
        upper = lower + weights[name].to_numpy()
        axes.fill_between(weights.index, lower, upper, facecolor=colour, alpha=opacity, linewidth=0)
        axes.plot(weights.index, upper, color=LIGHT["surface"], linewidth=0.6)
        lower = upper
    entropy = [normalised_entropy(row) for row in weights.to_numpy()]
    axes.plot(weights.index, entropy, color=LIGHT["ink"], linewidth=1.3)
    axes.axvline(kept_epoch, color=LIGHT["ink"], linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set_xlim(weights.index[0], weights.index[-1])
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))


def _looks(space: Sequence[str], alphas: pd.DataFrame) -> dict[str, Look]:
    """Give the primitives with the largest final mean weight a colour of their own, the others shades of one."""
    last = alphas[alphas["epoch"] == alphas["epoch"].max()].groupby("primitive")["weight"].mean()
    leaders = sorted(space, key=lambda name: -last[name])
    looks: dict[str, Look] = {}
    for rank, name in enumerate(leaders):
        looks[name] = (LIGHT["muted"], 0.55 - 0.45 * (rank - 3) / max(1, len(space) - 3))
    looks |= {name: (LIGHT[key], 1.0) for name, key in zip(leaders, ("accent", "second", "heat"), strict=False)}
    return {name: looks[name] for name in space}


def first_to_last(layers: Sequence[Layer], count: int) -> list[Layer]:
    """Return `count` of the layers, evenly spaced from the first to the last; all if there are fewer."""
    places = np.linspace(0, len(layers) - 1, min(count, len(layers)))
    return [layers[place] for place in sorted({round(place) for place in places})]
