"""How wide objects are in pixels of the model's input: whole images beside the view in use, and the mask cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from naslora_core.report.figures.style import LIGHT, panels
from naslora_core.report.scale import ViewInUse

_BARS_PER_OCTAVE = 2


def draw_widths(view: ViewInUse) -> Figure:
    """Draw a histogram of widths for each class: filled of whole images, as a line of crops where those are in use.

    Args:
        view: what the model sees, with at least one class.
    """
    figure, axes = panels(len(view.classes), height_in=2.9)
    for one, place in zip(view.classes, axes, strict=True):
        _draw_class(place, one, view)
    axes[0].set_ylabel("% of what is marked")
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=8,
        labelcolor=LIGHT["muted"],
    )
    return figure


def _draw_class(axes: Axes, one: Mapping[str, Any], view: ViewInUse) -> None:
    edges = _edges([*one["whole"], *view.widths(one)], view.cell_px)
    whole = _shares(one["whole"], edges)
    axes.stairs(whole, edges, fill=True, color=LIGHT["heat"], label="whole images, shrunk or enlarged")
    axes.stairs(whole, edges, color=LIGHT["accent"], linewidth=1)
    if view.is_crops:
        axes.stairs(
            _shares(view.widths(one), edges), edges, color=LIGHT["second"], linewidth=1.8, label="crops, in use"
        )
    axes.set_axisbelow(True)
    axes.set_xscale("log", base=2)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.35)
    _mark(axes, view.stock_cell_px, "mask cell")
    if view.cell_px != view.stock_cell_px:
        _mark(axes, view.cell_px, "finer cell")
    axes.set_title(f"Widths of {one['name']}")
    axes.set_xlabel("width in pixels of the model's input")
    axes.xaxis.set_major_locator(LogLocator(base=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda width, _: f"{width:g}"))


def _mark(axes: Axes, width_px: float, text: str) -> None:
    axes.axvline(width_px, color=LIGHT["ink"], linewidth=0.9, linestyle=(0, (1, 2)))
    axes.annotate(text, (width_px, axes.get_ylim()[1]), xytext=(-2, -2), textcoords="offset points", va="top",
        ha="right",
        rotation=90,
                  fontsize=8, color=LIGHT["muted"])  # fmt: skip


def _edges(widths: Sequence[tuple[float, float]], cell_px: float) -> np.ndarray:
    """Return the bounds of bars of half an octave that hold all widths and a mask cell, (N + 1,)."""
    exponents = np.log2([cell_px / 2, 4 * cell_px, *(width for width, _ in widths)])
    low, high = np.floor(exponents.min()), np.ceil(exponents.max() + 1e-9)
    return 2 ** np.arange(low, high + 0.25, 1 / _BARS_PER_OCTAVE)


def _shares(widths: Sequence[tuple[float, float]], edges: np.ndarray) -> np.ndarray:
    """Return percentages by bar, (N,)."""
    sizes, shares = np.array(widths, dtype=np.float64).T
    # Widths were rounded; those on the bound of two bars belong to the upper one.
    return 100 * np.histogram(1.001 * sizes, edges, weights=shares)[0]
