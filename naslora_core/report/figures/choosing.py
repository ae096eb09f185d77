"""How layers chose under a budget: the share of spatial branches and the expected ranks, by epoch."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from naslora_core.report.architecture import place_of
from naslora_core.report.figures.style import LIGHT, panels

# Shades of a map; one path each, so that a large model's chart stays small.
_SHADES = 12
_ROW_IN, _TALLEST_IN = 0.17, 11.0


def draw_choosing(operations: pd.DataFrame, ranks: pd.DataFrame, spatial: Collection[str]) -> Figure:
    """Draw two maps, layers or projections from the first to the last by epochs; the darker, the larger.

    Args:
        operations: one row per epoch, layer and primitive; weights of a layer sum to one.
        ranks: one row per epoch, projection and rank, whose primitive is "rank 4"; weights of a projection sum to one.
        spatial: the primitives that look beyond a token.
    """
    shares, expected = spatial_shares(operations, ranks, spatial), expected_ranks(ranks)
    largest = max(1.0, float(expected.to_numpy().max(initial=0.0)))
    rows = max(len(shares), len(expected))
    figure, axes = panels(2, height_in=min(_TALLEST_IN, 1.0 + _ROW_IN * rows))
    _draw_map(axes[0], shares, chosen_epoch(operations, ranks))
    _draw_map(axes[1], expected / largest, chosen_epoch(operations, ranks))
    axes[0].set_title("Share of spatial branches, 0 to 1 (line: the choice)")
    axes[1].set_title(f"Expected rank, 0 to {largest:.3g}")
    return figure


def spatial_shares(operations: pd.DataFrame, ranks: pd.DataFrame, spatial: Collection[str]) -> pd.DataFrame:
    """Return the share of spatial operations times that of having a branch, layers by epochs, in the layers' order.

    A layer has none where the rank of all its projections is 0.
    """
    weight = operations["weight"].where(operations["primitive"].isin(list(spatial)), 0.0)
    none = ranks[ranks["primitive"] == "rank 0"]
    layer = none["layer"].str.partition(":")[0].rename("layer")
    absent = none.groupby([layer, "epoch"])["weight"].prod().unstack()
    shares = _by_epoch(operations.assign(weight=weight))
    return shares * (1 - absent.loc[shares.index])


def expected_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """Return the ranks weighted by their shares, projections by epochs, in the order of the projections."""
    return _by_epoch(ranks.assign(weight=ranks["weight"] * ranks["primitive"].str.removeprefix("rank ").astype(int)))


def chosen_epoch(operations: pd.DataFrame, ranks: pd.DataFrame) -> int | None:
    """Return the first epoch after which every layer had chosen, so that all shares are 1 or 0; None if none had."""
    both = pd.concat([operations, ranks])
    open_epochs = both.loc[~both["weight"].isin([0.0, 1.0]), "epoch"]
    settled = both.loc[both["epoch"] > open_epochs.max(), "epoch"] if len(open_epochs) else both["epoch"]
    return int(settled.min()) if len(settled) else None


def _by_epoch(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.groupby(["layer", "epoch"])["weight"].sum().unstack()
    # Grouping sorts by name, block 10 before block 2.
    return table.loc[rows["layer"].unique()]


def _draw_map(axes: Axes, table: pd.DataFrame, chosen: int | None) -> None:
    """Draw a table of 0..1: a column for each epoch, whose middle is its number."""
    first, last = int(table.columns[0]), int(table.columns[-1])
    levels = np.ceil(table.to_numpy() * _SHADES - 1e-6).clip(0, _SHADES).astype(int)
    for level in range(1, _SHADES + 1):
        boxes = [
            Path([(left, row), (right, row), (right, row + 1), (left, row + 1), (left, row)], closed=True)
            for row, line in enumerate(levels)
            for left, right in _runs(line == level, first)
        ]
        if boxes:
            path = Path.make_compound_path(*boxes)
            axes.add_patch(PathPatch(path, facecolor=LIGHT["accent"], alpha=level / _SHADES, linewidth=0))
    if chosen is not None:
        axes.axvline(chosen - 0.5, color=LIGHT["second"], linewidth=1.3)
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.set_ylim(len(table), 0)
    step = -(-len(table) // 60)
    axes.set_yticks(np.arange(0, len(table), step) + 0.5, [_label(name) for name in table.index[::step]], fontsize=7)
    axes.set_xlabel("epoch")
    axes.grid(visible=False)


def _runs(marked: np.ndarray, first: int) -> list[tuple[float, float]]:
    """Return where runs of marked columns begin and end, the first column being around `first`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return [(first - 0.5 + left, first - 0.5 + right) for left, right in edges.reshape(-1, 2)]


def _label(name: str) -> str:
    path, _, section = name.partition(":")
    block, module = place_of(path)
    return f"{block} {section or module}".strip()
