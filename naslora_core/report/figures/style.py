"""The common style of all charts: palette, canvas, and output as PNG and SVG."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from naslora_core.files import atomic_file

# Charts are drawn in the light colours. In the page's SVG each becomes a CSS variable of its name, so the
# colours must differ from each other.
LIGHT = {
    "ink": "#1c2126",
    "muted": "#5c6670",
    "faint": "#b3bcc5",
    "grid": "#e3e7eb",
    "surface": "#ffffff",
    "page": "#f7f8f8",
    "accent": "#0f6d8c",
    "heat": "#86c3d8",
    "second": "#a85a14",
}
DARK = {
    "ink": "#e9ecef",
    "muted": "#a3adb7",
    "faint": "#56606a",
    "grid": "#2a3138",
    "surface": "#171c20",
    "page": "#101316",
    "accent": "#62bfe0",
    "heat": "#1f6e8c",
    "second": "#f0a45d",
}
_SETTINGS: Any = {
    "axes.edgecolor": LIGHT["faint"],
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": LIGHT["muted"],
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.facecolor": LIGHT["surface"],
    "axes.facecolor": "none",
    "font.size": 9,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    # Without a fixed salt the ids in an SVG, and so the report, would differ from run to run.
    "svg.hashsalt": "naslora",
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "xtick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.color": LIGHT["muted"],
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
}
WIDTH_IN = 9.6


@contextmanager
def chart_style() -> Iterator[None]:
    """Draw in the project's style within the block, whatever the user's matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def panels(count: int, height_in: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of the page's width with `count` axes side by side."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06, w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    axes = figure.subplots(1, count, squeeze=False)[0]
    return figure, list(axes)


def label_line_ends(axes: Axes, ends: list[tuple[float, str, str]], x: float) -> None:
    """Write labels at the right end of lines, moved apart where they would overlap.

    Args:
        axes: with its final limits.
        ends: y value, text and colour of each line.
        x: of the last point, in data units.
    """
    low, high = axes.get_ylim()
    height_pt = axes.get_figure().get_figheight() * 72 * 0.7  # type: ignore[union-attr]
    distance = (high - low) * 10.5 / height_pt
    placed = sorted(ends)
    positions = [y for y, _, _ in placed]
    for _ in range(200):
        for lower in range(len(positions) - 1):
            overlap = distance - (positions[lower + 1] - positions[lower])
            if overlap > 0:
                positions[lower] -= overlap / 2
                positions[lower + 1] += overlap / 2
    for position, (_, text, colour) in zip(positions, placed, strict=True):
        axes.annotate(
            text,
            (x, position),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )


def mark_kept_epoch(axes: Axes, epoch: int) -> None:
    """Draw a thin line at the epoch whose weights were kept, labelled at the foot of the axes."""
    low, _ = axes.get_ylim()
    axes.axvline(epoch, color=LIGHT["faint"], linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    axes.annotate(
        f"kept: {epoch}",
        (epoch, low),
        xytext=(-4, 5),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=LIGHT["muted"],
    )


def write_png(figure: Figure, path: Path) -> None:
    """Write the chart for use outside the page, on white, atomically and the same bytes each time."""
    _lay_out(figure)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=160, metadata={"Software": None})


def to_svg(figure: Figure, prefix: str) -> str:
    """Return the chart as an `<svg>` element for a page that defines the palette as CSS variables.

    Args:
        figure: drawn within `chart_style`.
        prefix: put before every id, so that several charts can share a page.
    """
    _lay_out(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Matplotlib's style element would apply to the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", svg)
    for name, colour in LIGHT.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg.strip()


def _lay_out(figure: Figure) -> None:
    """Settle where everything is, which takes longer than drawing it, and which saving would do for each file anew."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)
