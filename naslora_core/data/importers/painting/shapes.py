"""The shapes of which annotation tools build objects, each painted as its tool paints it.

To add a shape, write a class with `paint`; importers make shapes, `painting` layers them into masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from naslora_core.data.importers.painting.run_lengths import bounded, checked_counts, unpack

# "centres": corners are pixels, which belong to the object, as OpenCV's contours have it; "edges": corners lie between
# pixels, as COCO has it.
Outline = Literal["centres", "edges"]
# How far from the image a corner may lie, in its longer side.
FARTHEST = 10
_LEAST_CORNERS: dict[Outline, int] = {"centres": 1, "edges": 3}


class Patch(NamedTuple):
    """Where an object is: (h, w) bool of a part of the image, and the row and column of its first pixel."""

    top: int
    left: int
    inside: np.ndarray


NOTHING = Patch(0, 0, np.zeros((0, 0), dtype=bool))


class Shape(Protocol):
    """What can be painted into an image of a size; raises ValueError where it is not valid."""

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels of the shape that lie within the image."""
        ...


@dataclass(frozen=True, eq=False)
class Polygons:
    """The union of polygons, each (N, 2) x and y in pixels; fewer than three corners have no pixel between `edges`."""

    rings: Sequence[np.ndarray]
    outline: Outline = "edges"

    def paint(self, height: int, width: int) -> Patch:
        """Paint as cv2.fillPoly paints rounded corners (`centres`), or as pycocotools does (`edges`)."""
        rings = [np.asarray(ring, dtype=float).reshape(-1, 2) for ring in self.rings]
        for ring in rings:
            check_corners(ring, height, width)
        rings = [ring for ring in rings if len(ring) >= _LEAST_CORNERS[self.outline]]
        if not rings:
            return NOTHING
        if self.outline == "edges":
            # A window of the image would be faster to decode, but moves a pixel now and then: pycocotools rounds the
            # points of a line at their place in the image.
            runs = coco_mask.frPyObjects([ring.ravel().tolist() for ring in rings], height, width)
            packed = (runs[0] if len(runs) == 1 else coco_mask.merge(runs))["counts"]
            return Patch(*bounded(unpack(packed), height))
        return _fill([np.rint(ring).astype(np.int32) for ring in rings], height, width)


@dataclass(frozen=True, eq=False)
class Runs:
    """Lengths of runs of pixels that are not, are, are not, … of the object, column after column of the whole image.

    `counts` are numbers, or COCO's compressed string; `size` is the (H, W) that they were made for.
    """

    counts: Sequence[int] | str
    size: tuple[int, int]

    def paint(self, height: int, width: int) -> Patch:
        """Return the rows and columns that the object reaches."""
        if list(self.size) != [height, width]:
            raise ValueError(f"its size {list(self.size)} is not that of the image, {[height, width]}")
        return Patch(*bounded(checked_counts(self.counts, height, width), height))


@dataclass(frozen=True, eq=False)
class Bitmap:
    """Pixels as they are, (h, w) bool, whose first one lies at a row and column; what leaves the image is cut off."""

    inside: np.ndarray
    top: int = 0
    left: int = 0

    def paint(self, height: int, width: int) -> Patch:
        """Return the part within the image."""
        top, left = max(self.top, 0), max(self.left, 0)
        rows = slice(top - self.top, max(height - self.top, 0))
        columns = slice(left - self.left, max(width - self.left, 0))
        return Patch(top, left, np.asarray(self.inside, dtype=bool)[rows, columns])


def check_corners(corners: np.ndarray, height: int, width: int) -> None:
    """Raise ValueError for a corner, (N, 2) x and y, that is no number, or lies far outside of the image."""
    far = np.abs(corners).max(initial=0)
    if not far <= FARTHEST * max(height, width):
        raise ValueError(f"a corner lies at {far:.4g} in an image of {width} x {height}")


def _fill(rings: list[np.ndarray], height: int, width: int) -> Patch:
    """Fill each ring of whole numbers in the part of the image that holds them all."""
    corners = np.concatenate(rings)
    left, top = (max(int(low), 0) for low in corners.min(axis=0))
    right, bottom = (
        min(int(high) + 1, limit) for high, limit in zip(corners.max(axis=0), (width, height), strict=True)
    )
    if right <= left or bottom <= top:
        return NOTHING
    canvas = np.zeros((bottom - top, right - left), np.uint8)
    for ring in rings:
        cv2.fillPoly(canvas, [ring - np.array([left, top], np.int32)], 1)
    return Patch(top, left, canvas.view(bool))
