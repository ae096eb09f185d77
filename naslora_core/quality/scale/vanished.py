"""Count the objects of a mask that are gone once it is resized to the model's input."""

from functools import lru_cache

import numpy as np
from PIL import Image

from naslora_core.sam.square import resize, resized_shape


def count_vanished(
    regions: np.ndarray, corner: tuple[int, int], size: tuple[int, int], count: int, input_px: int
) -> int:
    """Return how many of the regions 1 … `count` - 1 have no pixel at the model's input size.

    Args:
        regions: (h, w) int32, cut out of the mask around all of them.
        corner: row and column at which.
        size: (H, W) of the mask.
        count: of the regions, and 1.
        input_px: side of the model's input.
    """
    if max(size) <= input_px:
        return 0
    rows, columns = (
        kept[(kept >= first) & (kept < first + length)] - first
        for kept, first, length in zip(_kept(size, input_px), corner, regions.shape, strict=True)
    )
    left = np.zeros(count, dtype=bool)
    left[regions[np.ix_(rows, columns)]] = True
    return int(np.count_nonzero(~left[1:]))


@lru_cache(maxsize=64)
def _kept(size: tuple[int, int], input_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows and columns of (H, W) are left at the model's input size."""
    height, width = size
    shape = resized_shape(height, width, input_px)
    rows = resize(np.arange(height, dtype=np.int32)[:, None], (shape[0], 1), Image.Resampling.NEAREST)
    columns = resize(np.arange(width, dtype=np.int32)[None], (1, shape[1]), Image.Resampling.NEAREST)
    return rows[:, 0], columns[0]
