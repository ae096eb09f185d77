"""The found architecture as a heat map of the weights: layers by primitives."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from naslora_core.adapted.searched_layers import Layer
from naslora_core.report.architecture import layer_label
from naslora_core.report.figures.style import LIGHT, panels

_MANY_LAYERS = 16
# Characters that fit above all columns together.
_WIDEST_HEAD = 100


def draw_architecture(layers: list[Layer], space: list[str]) -> Figure:
    """Draw layers from input (top) to output (bottom) by primitives; the strongest of a layer has a frame.

    The shade starts at weight 0, so that an undecided search looks even, not dramatic.

    Args:
        layers: the searched layers, in the order of the model.
        space: the primitives, in the order of the search space.
    """
    dense = len(layers) > _MANY_LAYERS
    figure, (axes,) = panels(1, height_in=0.9 + (0.2 if dense else 0.28) * len(layers))
    top = max(2 / len(space), *(max(layer.weights.values()) for layer in layers))
    for row, layer in enumerate(layers):
        for column, primitive in enumerate(space):
            weight = layer.weights[primitive]
            shade = 0.06 + 0.94 * weight / top
            axes.add_patch(_cell(row, column, facecolor=LIGHT["heat"], alpha=shade, linewidth=0))
            axes.text(
                column + 0.5,
                row + 0.52,
                f"{weight:.2f}" if weight else "",
                ha="center",
                va="center",
                fontsize=7 if dense else 8.5,
            )
        frame = _cell(row, space.index(layer.strongest), fill=False, edgecolor=LIGHT["second"], linewidth=1.5)
        axes.add_patch(frame)
    axes.set_xlim(0, len(space))
    axes.set_ylim(len(layers), 0)
    is_wide = len(space) * max(map(len, space)) > _WIDEST_HEAD
    look: Any = {"rotation": 25, "ha": "left", "rotation_mode": "anchor"} if is_wide else {}
    axes.set_xticks([column + (0.3 if is_wide else 0.5) for column in range(len(space))], space, **look)
    axes.set_yticks([row + 0.5 for row in range(len(layers))], [layer_label(layer) for layer in layers])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _cell(row: int, column: int, **look: Any) -> Rectangle:
    return Rectangle((column + 0.02, row + 0.05), 0.96, 0.9, **look)
