"""Cut large images into overlapping tiles, and blend the predictions of the tiles without seams."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tile:
    """The position of a tile in its image, in pixels from the upper left corner."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return the tile's part of an image (H, W, ...), without copying it."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


class Tiling:
    """The tiles of an image, of one size and as few as possible, and their blending weights.

    Args:
        shape: (H, W) of the image.
        side: of a tile, in pixels; along an axis that is shorter a tile is as long as the image. None is one tile.
        overlap: share of a tile, 0..0.5, that its neighbour covers at least.
    """

    def __init__(self, shape: tuple[int, int], side: int | None, overlap: float) -> None:
        self.shape = shape
        height, width = (min(length, side or length) for length in shape)
        overlap_px = round((side or 0) * overlap)
        self.row_starts = tile_starts(shape[0], height, overlap_px)
        self.column_starts = tile_starts(shape[1], width, overlap_px)
        self.row_weights = blending_weights(shape[0], self.row_starts, height, overlap_px)
        self.column_weights = blending_weights(shape[1], self.column_starts, width, overlap_px)
        self.tiles = [Tile(top, left, height, width) for top in self.row_starts for left in self.column_starts]


class Stitcher:
    """Blend the predictions of an image's tiles, holding no more than one row of tiles in memory.

    The whole of a large image, several classes deep, would not fit into memory. A tile counts fully in its middle
    and fades out over the overlap, where SAM saw less of what surrounds a pixel.

    Args:
        tiling: of the image.
        most: what no blended value may exceed: 1 for probabilities, None for logits.
    """

    def __init__(self, tiling: Tiling, most: float | None = 1) -> None:
        self._tiling, self._most = tiling, most
        self._added = 0
        self._rows: np.ndarray = np.empty(0, dtype=np.float32)

    def add(self, probability: np.ndarray) -> tuple[int, np.ndarray] | None:
        """Add the prediction of the next of `tiling.tiles`.

        Args:
            probability: (h, w) or (K, h, w) float32 in 0..1, of the tile's size.

        Returns:
            The rows of the image that this tile completes, as the first one's number and (n, W) or (K, n, W), or
            None. Together they are the image from top to bottom. A single tile comes back as it is.
        """
        tiling = self._tiling
        if len(tiling.tiles) == 1:
            return 0, probability
        tile, (row, column) = tiling.tiles[self._added], divmod(self._added, len(tiling.column_starts))
        if not self._added:
            self._rows = np.zeros((*probability.shape[:-1], tiling.shape[1]), dtype=np.float32)
        self._added += 1
        weights = tiling.row_weights[row][:, None] * tiling.column_weights[column]
        self._rows[..., tile.left : tile.left + tile.width] += weights * probability
        if column + 1 < len(tiling.column_starts):
            return None
        return tile.top, self._take_rows([*tiling.row_starts, tiling.shape[0]][row + 1] - tile.top)

    def _take_rows(self, count: int) -> np.ndarray:
        # Rounding may carry a sum of weights of certain pixels a hair above 1.
        complete = self._rows[..., :count, :]
        complete = complete.copy() if self._most is None else np.minimum(complete, self._most)
        kept = self._rows.shape[-2] - count
        self._rows[..., :kept, :] = self._rows[..., count:, :]
        self._rows[..., kept:, :] = 0
        return complete


def tile_starts(length: int, side: int, overlap_px: int = 0) -> list[int]:
    """Return the starts of tiles of `side` that cover `length`: as few as possible, evenly overlapping.

    Args:
        length: of the image along this axis, in pixels.
        side: of a tile.
        overlap_px: by how much neighbours overlap at least; less than `side`.
    """
    if length <= side:
        return [0]
    count = -(-(length - overlap_px) // (side - overlap_px))
    return [round(place) for place in np.linspace(0, length - side, count)]


def blending_weights(length: int, starts: Sequence[int], side: int, overlap_px: int) -> np.ndarray:
    """Return the blending weights of tiles along one axis; they sum to 1 at every pixel.

    A tile's weight rises as a squared sine over the overlap, so neither it nor its slope jumps at a border.

    Returns:
        (len(starts), side) float32.
    """
    distance = (np.arange(side) + 0.5) / max(overlap_px, 1)
    ramp = np.sin(np.pi / 2 * distance.clip(0, 1)) ** 2
    window = ramp * ramp[::-1]
    total = np.zeros(length)
    for start in starts:
        total[start : start + side] += window
    return np.stack([window / total[start : start + side] for start in starts]).astype(np.float32)
