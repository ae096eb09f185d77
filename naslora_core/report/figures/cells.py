"""Diagrams of the found cells: the operations between the two matrices of every adapter."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from naslora_core.adapted.searched_layers import Layer
from naslora_core.report.architecture import layer_label
from naslora_core.report.figures.layers import MOST_PANELS, first_to_last
from naslora_core.report.figures.style import LIGHT, WIDTH_IN

_COLUMNS = 4
# x of the middle of the boxes, and of the near edges of the operations' boxes; the axes run from 0 to 1.
_FIRST, _LAST, _LEFT, _RIGHT = 0.07, 0.93, 0.25, 0.75
_WIDEST_PT = 7.0


def draw_cells(layers: Sequence[Layer], space: Sequence[str]) -> Figure:
    """Draw a diagram for each layer: W_e, the operations with their weights, W_d.

    The wider an arrow, the larger its weight; the strongest operation of a layer is coloured. Of a cell with several
    edges each has its diagram, from one node to another.

    Args:
        layers: the searched layers, in the order of the model; of more than 32, 32 are drawn.
        space: the primitives, in the order of the search space.
    """
    shown = first_to_last(layers, MOST_PANELS)
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(WIDTH_IN, rows * (0.45 + 0.21 * len(space))), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    top = max(max(layer.weights.values()) for layer in shown)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, layer in zip(grid.flat, shown, strict=False):
        _draw_cell(axes, layer, space, top)
    return figure


def _draw_cell(axes: Axes, layer: Layer, space: Sequence[str], top: float) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(len(space) + 0.1, -0.1)
    axes.set_title(layer_label(layer), pad=5, fontsize=8.5)
    middle = len(space) / 2
    for row, name in enumerate(space):
        weight, height = layer.weights[name], row + 0.5
        colour = LIGHT["accent"] if name == layer.strongest else LIGHT["faint"]
        for start, end in (((_FIRST + 0.06, middle), (_LEFT, height)), ((_RIGHT, height), (_LAST - 0.06, middle))):
            axes.annotate(
                "",
                end,
                start,
                arrowprops={
                    "arrowstyle": "-",
                    "color": colour,
                    "linewidth": max(0.4, _WIDEST_PT * weight / top),
                    "alpha": 0.75,
                    "shrinkA": 0,
                    "shrinkB": 0,
                    "connectionstyle": "arc3,rad=0",
                },
                zorder=2 if name == layer.strongest else 1,
            )
        _box(axes, (_LEFT + _RIGHT) / 2, height, _RIGHT - _LEFT, 0.78, colour)
        axes.text(_LEFT + 0.02, height, name, va="center", fontsize=6.3, zorder=4)
        axes.text(_RIGHT - 0.02, height, f"{weight:.2f}", va="center", ha="right", fontsize=6.3, zorder=4)
    for place, label in zip((_FIRST, _LAST), _ends(layer), strict=True):
        _box(axes, place, middle, 0.13, 1.5, LIGHT["muted"])
        axes.text(place, middle, label, ha="center", va="center", fontsize=8, zorder=4)


def _ends(layer: Layer) -> tuple[str, str]:
    """Return the labels of both ends of a cell, or of one edge of a larger cell."""
    _, _, edge = layer.name.partition(":")
    if not edge:
        return "$W_e$", "$W_d$"
    source, target = edge.split("_")
    return "$W_e$" if source == "0" else source, target


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    shape = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.02",
        mutation_aspect=8,
        facecolor=LIGHT["surface"],
        edgecolor=colour,
        linewidth=0.9,
        zorder=3,
    )
    axes.add_patch(shape)
