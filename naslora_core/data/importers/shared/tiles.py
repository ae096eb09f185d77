"""Cut large images into square tiles, each read only when it is written."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.image_files.pixels import read_mask
from naslora_core.geometry.tiling import tile_starts


@dataclass(frozen=True)
class ImageTile:
    """A tile of an image, (S, S, 3) uint8 RGB, or smaller where the image is smaller than S."""

    path: Path
    top: int
    left: int
    side: int

    def __call__(self) -> np.ndarray:
        """Read the scene, unless the last tile was from the same one, and crop the tile."""
        return _last_image(self.path)[self.top : self.top + self.side, self.left : self.left + self.side]


@dataclass(frozen=True)
class MaskTile:
    """A tile of a mask of one class, (S, S) uint8 of 0 and 1, or smaller where the mask is smaller than S."""

    path: Path
    threshold: int
    top: int
    left: int
    side: int

    def __call__(self) -> np.ndarray:
        """Read the mask, unless the last tile was from the same one, and crop the tile."""
        ids = _last_mask(self.path, self.threshold)
        return ids[self.top : self.top + self.side, self.left : self.left + self.side]


def cut(
    name: str, image: Path, mask: Path, threshold: int, side: int, is_empty: Callable[[np.ndarray], bool]
) -> tuple[list[tuple[str, ImageTile, MaskTile]], int]:
    """Cut one scene into tiles, in rows from the top.

    Args:
        name: of the scene; tiles are called `<name>_<row>_<column>`.
        image: the scene.
        mask: of the whole scene.
        threshold: least mask value that is foreground.
        side: of a tile, in pixels.
        is_empty: tells from the pixels of a tile that it shows nothing.

    Returns:
        The tiles that show something, and how many do not.

    Raises:
        DataError: if the scene cannot be read.
    """
    pixels = _last_image(image)
    rows, columns = tile_starts(pixels.shape[0], side), tile_starts(pixels.shape[1], side)
    places = [(row, column, top, left) for row, top in enumerate(rows) for column, left in enumerate(columns)]
    tiles = [
        (f"{name}_{row}_{column}", ImageTile(image, top, left, side), MaskTile(mask, threshold, top, left, side))
        for row, column, top, left in places
        if not is_empty(pixels[top : top + side, left : left + side])
    ]
    return tiles, len(places) - len(tiles)


# One scene stays in memory, so that its tiles, which come one after the other, do not decode it again and again.
_last_image = lru_cache(maxsize=1)(read_image)
_last_mask = lru_cache(maxsize=1)(read_mask)
