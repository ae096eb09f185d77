"""Shapes that Pillow paints, as labelme has it, and ellipses that OpenCV paints, as CVAT has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw

from naslora_core.data.importers.painting.shapes import Patch, check_corners

PillowKind = Literal["polygon", "rectangle", "ellipse", "line"]


@dataclass(frozen=True, eq=False)
class PillowShape:
    """What ImageDraw fills: corners belong to the shape, wherever in their pixel they lie.

    Attributes:
        kind: of a rectangle and an ellipse the corners are two opposite ones of its box.
        corners: (N, 2) x and y in pixels.
        width: of a line, in pixels.
    """

    kind: PillowKind
    corners: np.ndarray
    width: int = 1

    def paint(self, height: int, width: int) -> Patch:
        """Return the part of the image that the shape reaches."""
        check_corners(self.corners, height, width)
        picture = Image.new("L", (width, height))
        draw = ImageDraw.Draw(picture)
        points: Sequence[tuple[float, float]] = [(float(x), float(y)) for x, y in self.corners]
        if self.kind == "polygon":
            draw.polygon(points, outline=1, fill=1)
        elif self.kind == "line":
            draw.line(points, fill=1, width=self.width)
        else:
            low, high = self.corners.min(axis=0).tolist(), self.corners.max(axis=0).tolist()
            fill = draw.rectangle if self.kind == "rectangle" else draw.ellipse
            fill((*low, *high), outline=1, fill=1)
        # Rounding reaches a pixel beyond the corners.
        reach = self.width + 2
        left, top = np.clip(np.floor(self.corners.min(axis=0)).astype(int) - reach, 0, (width, height)).tolist()
        right, bottom = np.clip(np.ceil(self.corners.max(axis=0)).astype(int) + reach, 0, (width, height)).tolist()
        return Patch(top, left, np.asarray(picture.crop((left, top, right, bottom))) > 0)


@dataclass(frozen=True, eq=False)
class OpenCvEllipse:
    """An ellipse as cv2.ellipse fills it: centre and half axes, in pixels, are rounded; the angle is in degrees.

    Source: cvat-ai/cvat, cvat/apps/dataset_manager/formats/transformations.py, for exported masks.
    """

    centre: tuple[float, float]
    half_axes: tuple[float, float]
    angle: float

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels of the ellipse in the whole image."""
        check_corners(np.array([self.centre, self.half_axes]), height, width)
        if min(self.half_axes) < 0 or not np.isfinite(self.angle):
            raise ValueError(f"its half axes are {self.half_axes} and its angle {self.angle}")
        canvas = np.zeros((height, width), np.uint8)
        centre, half_axes = ((round(one), round(other)) for one, other in (self.centre, self.half_axes))
        cv2.ellipse(canvas, centre, half_axes, self.angle, 0, 360, 1, thickness=-1)
        return Patch(0, 0, canvas.view(bool))


def corners_of(points: object, least: int = 1) -> np.ndarray:
    """Return (N, 2) x and y from a list of pairs as a file has it.

    Raises:
        ValueError: if it is none, has fewer than `least`, or something that is no number.
    """
    if not isinstance(points, list | tuple) or len(points) < least:
        count = len(points) if isinstance(points, list | tuple) else repr(points)[:40]
        raise ValueError(f"it has {count} corners, expected a list of {least} or more")
    pairs = [point for point in points if isinstance(point, list | tuple) and len(point) == 2]
    if len(pairs) < len(points) or not all(type(value) in (int, float) for pair in pairs for value in pair):
        raise ValueError("its corners are no pairs of numbers")
    return np.array(pairs, dtype=float)
