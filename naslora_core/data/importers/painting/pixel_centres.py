"""Shapes that hold the pixels whose centres they hold, as ImageJ and Java's Graphics2D, which QuPath uses, paint.

x and y begin at the upper left corner of the first pixel, whose centre is (0.5, 0.5). Shapes that share an edge share
no pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from naslora_core.data.importers.painting.shapes import Patch, check_corners

# How many crossings of edges and rows of pixels are held at a time.
_MOST_CROSSINGS = 1 << 22
# In pixels; an edge through a centre may miss it by as much, from rounding.
_ROUNDING = 1e-8


@dataclass(frozen=True, eq=False)
class Rings:
    """Closed outlines, each (N, 2) x and y in pixels, that take turns: what lies in two of them is a hole.

    Source: the even-odd rule, as in Foley et al., "Computer Graphics: Principles and Practice", scan conversion.

    Attributes:
        rings: the outlines.
        on_edge: whether a centre on an edge belongs to what lies "after" it, to its right or below, or "before" it.
    """

    rings: Sequence[np.ndarray]
    on_edge: Literal["after", "before"] = "after"

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels whose centres lie in an odd number of outlines.

        Raises:
            ValueError: for a corner that is no number, or far outside of the image.
        """
        flips = np.zeros((height, width + 1), np.uint8)
        for ring in self.rings:
            check_corners(ring, height, width)
            edges = np.concatenate([ring, np.roll(ring, -1, axis=0)], axis=1).astype(float)
            least = max(1, _MOST_CROSSINGS // height)
            for first in range(0, len(edges), least):
                _flip(flips, edges[first : first + least], self.on_edge == "before")
        return Patch(0, 0, np.bitwise_xor.accumulate(flips[:, :width], axis=1).view(bool))


def _flip(flips: np.ndarray, edges: np.ndarray, before: bool) -> None:
    """Mark where each row of pixel centres crosses an edge: from there on the inside is the outside."""
    height, beyond = flips.shape[0], flips.shape[1] - 1
    x0, y0, x1, y1 = np.where((edges[:, 1] <= edges[:, 3])[:, None], edges, edges[:, [2, 3, 0, 1]]).T
    shift = _ROUNDING if before else 0.0
    top = np.clip(np.ceil(y0 + shift - 0.5), 0, height).astype(int)
    count = np.maximum(np.clip(np.ceil(y1 + shift - 0.5), 0, height).astype(int) - top, 0)
    edge = np.repeat(np.arange(len(edges)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + top[edge]
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    crossing = x0[edge] + (row + 0.5 - y0[edge]) * slope
    column = np.clip(np.ceil(crossing + shift - 0.5), 0, beyond).astype(int)
    np.bitwise_xor.at(flips, (row, column), 1)


@dataclass(frozen=True, eq=False)
class Oval:
    """The ellipse that fills a box of whole pixels; the box may reach out of the image."""

    left: int
    top: int
    width: int
    height: int

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels whose centres lie in the ellipse."""
        rows = np.arange(max(self.top, 0), min(self.top + self.height, height))
        columns = np.arange(max(self.left, 0), min(self.left + self.width, width))
        y = (2 * (rows - self.top) + 1 - self.height) / self.height
        x = (2 * (columns - self.left) + 1 - self.width) / self.width
        return Patch(max(self.top, 0), max(self.left, 0), y[:, None] ** 2 + x[None] ** 2 < 1)
