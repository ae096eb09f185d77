"""Rasterise outlines of objects into masks of class ids, and write them as PNG files with a palette."""

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.importers.shared.shapes import FARTHEST


@dataclass(frozen=True)
class Region:
    """One object of a class; a `crowd` is a rough outline that lies below all other objects.

    `counts`: lengths of runs of pixels that are not, are, are not, … of the object, column after column.
    """

    class_id: int
    counts: Sequence[int]
    crowd: bool = False

    @property
    def area_px(self) -> int:
        """Return how many pixels the object has."""
        return sum(self.counts[1::2])


def rasterise(regions: Iterable[Region], height: int, width: int) -> np.ndarray:
    """Return (H, W) uint8 class ids; where objects overlap, the smaller one is seen, and crowds lie below all."""
    columns = np.zeros(width * height, np.uint8)
    for region in sorted(regions, key=lambda region: (not region.crowd, -region.area_px)):
        inside = np.arange(len(region.counts)) % 2 == 1
        columns[np.repeat(inside, region.counts)] = region.class_id
    return np.ascontiguousarray(columns.reshape(width, height).T)


def polygons_to_counts(polygons: list[list[float]], height: int, width: int) -> list[int]:
    """Return the union of polygons, x1, y1, x2, y2, … in pixels, as runs; COCO's own code decides on border pixels.

    Each must have three corners or more: pycocotools would take two for those of a box.

    Raises:
        ValueError: for a corner that is no number, or so far outside that rasterising it would take for ever.
    """
    for polygon in polygons:
        far = np.abs(np.asarray(polygon, dtype=float)).max()
        if not far <= FARTHEST * max(height, width):
            raise ValueError(f"a corner lies at {far:.4g} in an image of {width} x {height}")
    merged = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return _unpack(merged["counts"])


def checked_counts(counts: list[int] | str, height: int, width: int) -> list[int]:
    """Return checked run lengths of a COCO annotation, given as numbers or as a compressed string.

    Raises:
        ValueError: if they do not cover the image exactly.
    """
    numbers = _unpack(counts.encode("ascii")) if isinstance(counts, str) else [int(number) for number in counts]
    if sum(numbers) != height * width or min(numbers, default=0) < 0:
        raise ValueError(f"its run lengths cover {sum(numbers)} pixels of {height * width}")
    return numbers


def _unpack(packed: bytes) -> list[int]:
    # Five bits a character, least first, the sixth says that more follow; from the fourth number on, the difference to
    # the one before the last is stored: https://github.com/cocodataset/cocoapi, rleToString in common/maskApi.c.
    numbers: list[int] = []
    value, shift = 0, 0
    for character in packed:
        digit = character - 48
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
        value, shift = 0, 0
    return numbers


def write_ids(ids: np.ndarray, path: Path) -> None:
    """Write (H, W) uint8 class ids as a PNG whose palette gives every class a colour; its indices are the ids."""
    picture = Image.fromarray(ids)
    picture.putpalette(PALETTE)
    picture.save(path, optimize=True)


def _palette() -> bytes:
    # Steps of the golden ratio keep any number of hues apart.
    hues = (0.61803398875 * index % 1 for index in range(IGNORED_ID))
    colours = [colorsys.hsv_to_rgb(hue, 0.75, 1.0) for hue in hues]
    return bytes(3) + bytes(round(255 * channel) for colour in colours for channel in colour)


PALETTE = _palette()
