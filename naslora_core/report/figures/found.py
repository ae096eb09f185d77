"""The architecture that was found under a budget, as a grid: blocks by projections."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from naslora_core.adapted.searched_layers import FoundArchitecture
from naslora_core.report.architecture import place_of
from naslora_core.report.figures.style import LIGHT, WIDTH_IN

# Fewer blocks do not fill the width: their cells would be larger than their numbers ask for.
_LEAST_COLUMNS = 14
# The colour of the cell, its opacity, and the colour of the number in it.
Look = tuple[str, float, str]
_SPATIAL: tuple[Look, ...] = (
    ("accent", 1.0, "surface"), ("second", 1.0, "surface"), ("heat", 1.0, "ink"),
    ("accent", 0.5, "ink"), ("second", 0.5, "ink"), ("heat", 0.45, "ink"), ("accent", 0.2, "ink"),
    ("second", 0.2, "ink"),
)  # fmt: skip
_OF_TOKENS: tuple[Look, ...] = (("faint", 0.75, "ink"), ("faint", 0.35, "ink"), ("muted", 0.8, "surface"))


def draw_found(found: FoundArchitecture) -> Figure:
    """Draw blocks from input (left) to output (right) by projections: the colour is the operation, the number the rank.

    Operations that see a token alone are grey. Where there is no branch, the cell is empty.

    Args:
        found: the architecture; at least one of its layers has a branch.
    """
    blocks = list(dict.fromkeys(place_of(layer.name)[0] for layer in found.layers))
    projections = list(dict.fromkeys(name for layer in found.layers for name in layer.ranks))
    looks = _looks(found)
    figure = Figure(figsize=(WIDTH_IN, 1.25 + 0.34 * len(projections)), layout="constrained")
    axes = figure.subplots()
    for layer in found.layers:
        column = blocks.index(place_of(layer.name)[0])
        for name, rank in layer.ranks.items():
            _draw_cell(axes, projections.index(name), column, rank, looks.get(layer.operation) if rank else None)
    axes.set_xlim(0, max(len(blocks), _LEAST_COLUMNS))
    axes.set_ylim(len(projections), 0)
    axes.set_xticks([column + 0.5 for column in range(len(blocks))], blocks)
    axes.set_yticks([row + 0.5 for row in range(len(projections))], projections)
    axes.set_xlabel("block", loc="left")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    keys = [Patch(facecolor=LIGHT[colour], alpha=alpha, label=name) for name, (colour, alpha, _) in looks.items()]
    figure.legend(handles=keys, loc="outside upper left", ncols=5, frameon=False, fontsize=8)
    return figure


def _draw_cell(axes: Axes, row: int, column: int, rank: int, look: Look | None) -> None:
    place: Any = ((column + 0.04, row + 0.06), 0.92, 0.88)
    if look is None:
        axes.add_patch(Rectangle(*place, fill=False, edgecolor=LIGHT["grid"], linewidth=0.8))
        return
    colour, alpha, ink = look
    axes.add_patch(Rectangle(*place, facecolor=LIGHT[colour], alpha=alpha, linewidth=0))
    axes.text(column + 0.5, row + 0.53, str(rank), ha="center", va="center", fontsize=8, color=LIGHT[ink])


def _looks(found: FoundArchitecture) -> Mapping[str, Look]:
    """Give the operations of the branches a look each, the commonest spatial one the strongest."""
    used = [layer.operation for layer in found.branches]
    names = sorted(set(used), key=lambda name: (-used.count(name), name))
    spatial = [name for name in names if name in found.spatial]
    of_tokens = [name for name in names if name not in found.spatial]
    looks = {name: _SPATIAL[place % len(_SPATIAL)] for place, name in enumerate(spatial)}
    return looks | {name: _OF_TOKENS[place % len(_OF_TOKENS)] for place, name in enumerate(of_tokens)}
