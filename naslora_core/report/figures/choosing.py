"""How layers chose under a budget: what spatial operations and ranks were left, by epoch."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from naslora_core.report.architecture import place_of
from naslora_core.report.figures.style import LIGHT, panels

# Shades of a map; one path each, so that a large model's chart stays small.
_SHADES = 12
_ROW_IN, _TALLEST_IN = 0.17, 11.0


def draw_choosing(operations: pd.DataFrame, ranks: pd.DataFrame, spatial: Collection[str]) -> Figure:
    """Draw two maps, layers or projections from the first to the last by epochs; the darker, the larger.

    Args:
        operations: one row per epoch, layer and primitive; weights of a layer sum to one.
        ranks: one row per epoch, projection and rank, whose primitive is "rank 4"; the weight is 1 of the rank that the
            projection may still have, and 0 of others.
        spatial: the primitives that look beyond a token.
    """
    shares, left = spatial_shares(operations, ranks, spatial), ranks_left(ranks)
    largest = max(1.0, float(left.to_numpy().max(initial=0.0)))
    rows = max(len(shares), len(left))
    settled = settled_epoch(operations, ranks)
    figure, axes = panels(2, height_in=min(_TALLEST_IN, 1.0 + _ROW_IN * rows))
    _draw_map(axes[0], shares, settled)
    _draw_map(axes[1], left / largest, settled)
    axes[0].set_title("Share of spatial operations (from the line on settled)")
    axes[1].set_title(f"Rank that is left, 0 to {largest:.3g}")
    return figure


def spatial_shares(operations: pd.DataFrame, ranks: pd.DataFrame, spatial: Collection[str]) -> pd.DataFrame:
    """Return the share of spatial operations, layers by epochs, in the layers' order.

    It is 0 where no branch is left, as the rank of all projections is 0.
    """
    weight = operations["weight"].where(operations["primitive"].isin(list(spatial)), 0.0)
    none = ranks[ranks["primitive"] == "rank 0"]
    layer = none["layer"].str.partition(":")[0].rename("layer")
    absent = none.groupby([layer, "epoch"])["weight"].prod().unstack()
    shares = _by_epoch(operations.assign(weight=weight))
    return shares * (1 - absent.loc[shares.index])


def ranks_left(ranks: pd.DataFrame) -> pd.DataFrame:
    """Return the rank that each projection may still have, projections by epochs, in the order of the projections."""
    return _by_epoch(ranks.assign(weight=ranks["weight"] * ranks["primitive"].str.removeprefix("rank ").astype(int)))


def settled_epoch(operations: pd.DataFrame, ranks: pd.DataFrame) -> int | None:
    """Return the epoch since which all shares are those of the end; None if they have always been."""
    both = pd.concat([operations, ranks])
    table = both.set_index(["layer", "primitive", "epoch"])["weight"].unstack().sort_index(axis=1)
    changing = table.columns[(table.ne(table.iloc[:, -1], axis=0)).any()]
    return int(changing.max()) + 1 if len(changing) else None


def _by_epoch(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.groupby(["layer", "epoch"])["weight"].sum().unstack()
    # Grouping sorts by name, block 10 before block 2.
    return table.loc[rows["layer"].unique()]


def _draw_map(axes: Axes, table: pd.DataFrame, settled: int | None) -> None:
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
    if settled is not None:
        axes.axvline(settled - 0.5, color=LIGHT["second"], linewidth=1.3)
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.set_ylim(len(table), 0)
    step = -(-len(table) // 60)
    axes.set_yticks(np.arange(0, len(table), step) + 0.5, [_label(name) for name in table.index[::step]], fontsize=7)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.grid(visible=False)


def _runs(marked: np.ndarray, first: int) -> list[tuple[float, float]]:
    """Return where runs of marked columns begin and end, the first column being around `first`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return [(first - 0.5 + left, first - 0.5 + right) for left, right in edges.reshape(-1, 2)]


def _label(name: str) -> str:
    path, _, section = name.partition(":")
    block, module = place_of(path)
    return f"{block} {section or module}".strip()
