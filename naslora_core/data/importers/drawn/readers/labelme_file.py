"""Read the JSON file that labelme writes for an image, and make the shapes in it as labelme paints them.

Source: https://github.com/wkentaro/labelme, labelme/utils/shape.py, whose shapes_to_label makes masks of such files.
"""

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from naslora_core.data.dataset.image_files.pixels import FORMATS, load_picture, to_rgb
from naslora_core.data.importers.drawn.readers.tool_shapes import PillowShape, corners_of
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.shapes import Bitmap, Shape
from naslora_core.data.importers.shared.image_files import checked_size
from naslora_core.data.importers.shared.json_files import telling
from naslora_core.reading import read_object

FORM = "labelme JSON"
# Where a shape stands in its file.
PLACE = "naslora_place"
KEYS = ("shapes", "imagePath")
# What labelme makes of lines and points, which have no area of their own.
LINE_PX, POINT_RADIUS_PX = 10, 5
# Kinds of shapes that have no area of their own, and how many corners a kind has; "rotation" is what X-AnyLabeling
# calls an oriented rectangle.
WITHOUT_AREA = ("line", "linestrip", "point")
KINDS = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2, "oriented_rectangle": 4, "rotation": 4, "line": 2,
         "linestrip": 2, "point": 1}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LabelmeFile:
    """What one file says.

    Attributes:
        path: the file.
        image: the name of the image, relative to the file.
        size: (H, W) of the image; None if it is not stated.
        shapes: as written, each with label, shape_type and points.
        embeds_image: whether the image is in the file as well.
    """

    path: Path
    image: str
    size: tuple[int, int] | None
    shapes: tuple[dict[str, Any], ...]
    embeds_image: bool


def read_labelme(path: Path, left_out: LeftOut | None = None) -> LabelmeFile:
    """Read a file, and check what does not depend on the image; errors of single shapes go to `left_out`.

    Raises:
        DataError: if it is not JSON with shapes and imagePath, or a label is no text.
    """
    with telling(path, FORM):
        content = read_object(path)
        shapes = content["shapes"]
        if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
            raise ValueError("shapes is no list of objects")
        sound = (left_out or LeftOut()).read_each(partial(_checked, path), enumerate(shapes))
        if not isinstance(content["imagePath"], str) or not content["imagePath"]:
            raise ValueError(f"imagePath is {content['imagePath']!r:.40}, expected the name of the image")
        stated = (content.get("imageHeight"), content.get("imageWidth"))
        size = None if None in stated else checked_size(*stated)
        return LabelmeFile(path, content["imagePath"], size, tuple(sound), bool(content.get("imageData")))


def _checked(path: Path, numbered: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    number, shape = numbered
    with telling(path, FORM):
        if not isinstance(shape["label"], str) or not shape["label"]:
            raise ValueError(f"the label of shape {number} is {shape['label']!r:.40}, expected text")
        if not isinstance(kind_of(shape), str):
            raise ValueError(f"the shape_type of shape {number} is {shape['shape_type']!r:.40}, expected text")
    return shape | {PLACE: number}


def kind_of(shape: Mapping[str, Any]) -> Any:
    """Return the kind of a shape; files of labelme before version 4 name none for a polygon."""
    return shape.get("shape_type") or "polygon"


def shape_from(written: Mapping[str, Any]) -> Shape:
    """Make the shape of one entry of `shapes`, whose kind is one of `KINDS`.

    Raises:
        ValueError: if its points or its mask are not as its kind asks for.
    """
    kind = kind_of(written)
    corners = corners_of(written.get("points"), KINDS[kind])
    if kind == "mask":
        return _bitmap(written.get("mask"), corners)
    if kind in ("circle", "point"):
        radius = float(np.hypot(*(corners[1] - corners[0]))) if kind == "circle" else POINT_RADIUS_PX
        return PillowShape("ellipse", np.stack([corners[0] - radius, corners[0] + radius]))
    if kind in ("line", "linestrip"):
        return PillowShape("line", corners, LINE_PX)
    return PillowShape("rectangle" if kind == "rectangle" else "polygon", corners)


def embedded_image(path: Path) -> np.ndarray:
    """Return the image that a file embeds, (H, W, 3) uint8 RGB.

    Raises:
        DataError: if it is no image that can be read.
    """
    with telling(path, FORM):
        content = _decoded(read_object(path)["imageData"])
    return to_rgb(load_picture(path, io.BytesIO(content)), path)


def embedded_size(path: Path) -> tuple[int, int]:
    """Return (H, W) of the image that a file embeds; raises as `embedded_image`."""
    height, width = embedded_image(path).shape[:2]
    return height, width


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"an image in it is a {type(text).__name__}, expected text in base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"an image in it is not in base64: {error}") from error


def _bitmap(written: Any, corners: np.ndarray) -> Bitmap:
    (left, top), (right, bottom) = corners[:2].astype(int).tolist()
    try:
        with Image.open(io.BytesIO(_decoded(written)), formats=FORMATS) as picture:
            expected = (right - left + 1, bottom - top + 1)
            if picture.size != expected:
                raise ValueError(f"its mask is of {picture.size} px, its corners ask for {expected}")
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"its mask cannot be read: {error}") from error
    if pixels.ndim != 2:
        raise ValueError(f"its mask has {pixels.shape[2]} channels, expected one")
    return Bitmap(pixels != 0, top, left)
