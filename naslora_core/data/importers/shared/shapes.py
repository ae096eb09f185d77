"""The shapes of which annotation tools build objects, each painted as its tool paints it.

To add a shape, write a class with `paint`; importers make shapes, `painting` layers them into masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np
from pycocotools import mask as coco_mask

# "centres": corners are pixels, which belong to the object, as OpenCV's contours have it; "edges": corners lie between
# pixels, as COCO has it.
Outline = Literal["centres", "edges"]
# How far from the image a corner may lie, in its longer side.
FARTHEST = 10


class Patch(NamedTuple):
    """Where an object is: (h, w) bool of a part of the image, and the row and column of its first pixel."""

    top: int
    left: int
    inside: np.ndarray


class Shape(Protocol):
    """What can be painted into an image of a size; raises ValueError where it is not valid."""

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels of the shape that lie within the image."""
        ...


@dataclass(frozen=True, eq=False)
class Polygons:
    """The union of polygons, each (N, 2) x and y in pixels, with at least three corners (`centres`: one)."""

    rings: Sequence[np.ndarray]
    outline: Outline = "edges"

    def paint(self, height: int, width: int) -> Patch:
        """Paint as cv2.fillPoly paints rounded corners (`centres`), or as pycocotools does (`edges`)."""
        for ring in self.rings:
            far = np.abs(ring).max(initial=0)
            if not far <= FARTHEST * max(height, width):
                raise ValueError(f"a corner lies at {far:.4g} in an image of {width} x {height}")
        if self.outline == "edges":
            flat = [ring.ravel().tolist() for ring in self.rings]
            merged = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
            return Patch(0, 0, coco_mask.decode(merged).view(bool))
        canvas = np.zeros((height, width), np.uint8)
        for ring in self.rings:
            cv2.fillPoly(canvas, [np.rint(ring).astype(np.int32)], 1)
        return Patch(0, 0, canvas.view(bool))


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
