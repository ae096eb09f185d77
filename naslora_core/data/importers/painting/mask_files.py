"""Write masks of class ids as PNG files with a palette."""

import colorsys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID


def write_ids(ids: np.ndarray, path: Path) -> None:
    """Write (H, W) uint8 class ids as a PNG whose palette gives every class a colour; its indices are the ids."""
    picture = Image.fromarray(ids)
    picture.putpalette(PALETTE)
    # Runs of one id are all there is to find; optimize=True takes fifteen times as long to save a tenth.
    picture.save(path, compress_type=zlib.Z_RLE)


def _palette() -> bytes:
    # Steps of the golden ratio keep any number of hues apart.
    hues = (0.61803398875 * index % 1 for index in range(IGNORED_ID))
    colours = [colorsys.hsv_to_rgb(hue, 0.75, 1.0) for hue in hues]
    return bytes(3) + bytes(round(255 * channel) for colour in colours for channel in colour)


PALETTE = _palette()
