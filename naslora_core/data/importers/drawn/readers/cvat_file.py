"""Read the XML file of CVAT for images 1.1, and make the shapes in it as CVAT paints them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from naslora_core.data.importers.drawn.readers.safe_xml import stream_xml
from naslora_core.data.importers.drawn.readers.tool_shapes import OpenCvEllipse, corners_of
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.shapes import Bitmap, Outline, Polygons, Shape
from naslora_core.data.importers.shared.image_files import checked_size
from naslora_core.data.importers.shared.json_files import telling

FORM = "XML of CVAT for images 1.1"
PAINTED = ("polygon", "mask", "ellipse")
KINDS = (*PAINTED, "box", "polyline", "points", "cuboid", "skeleton", "tag")


@dataclass(frozen=True, eq=False)
class CvatShape:
    """One element within an <image>; `attributes` as written, `number` counts them from 1."""

    kind: str
    label: str
    z_order: int
    number: int
    attributes: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class CvatImage:
    """An <image>: its name, subset ("" if none) and (H, W), and its shapes as listed."""

    name: str
    subset: str
    size: tuple[int, int]
    shapes: list[CvatShape] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class CvatFile:
    """What one file says; `labels` are in the order of its project."""

    path: Path
    labels: list[str] = field(default_factory=list)
    images: list[CvatImage] = field(default_factory=list)


class _Reader:
    def __init__(self, path: Path, left_out: LeftOut) -> None:
        self.file = CvatFile(path)
        self._left_out = left_out
        self._image = CvatImage("", "", (1, 1))
        self._number = 0
        self._open: list[str] = []

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else ""
        self._open.append(tag)
        if not parent and tag != "annotations":
            raise ValueError(f"it begins with <{tag}>, expected <annotations>")
        if tag == "track":
            raise ValueError("it is of a video (<track>); export as 'CVAT for images 1.1' instead")
        if tag == "image" and parent == "annotations":
            # Shapes of an image that is left out go where nobody looks.
            self._image, self._number = CvatImage("", "", (1, 1)), 0
            with self._left_out.taking(), telling(self.file.path, FORM):
                size = checked_size(int(attributes["height"]), int(attributes["width"]))
                self._image = CvatImage(attributes["name"], attributes.get("subset", ""), size)
                self.file.images.append(self._image)
        elif parent == "image" and tag in KINDS:
            self._number += 1
            with (
                self._left_out.taking(),
                telling(self.file.path, f"{FORM} ({tag} {self._number} of {self._image.name!r})"),
            ):
                z_order = int(attributes.get("z_order", "0"))
                self._image.shapes.append(CvatShape(tag, attributes["label"], z_order, self._number, attributes))

    def end(self, tag: str, text: str) -> None:
        self._open.pop()
        if tag == "name" and self._open[-1:] == ["label"] and text not in self.file.labels:
            self.file.labels.append(text)


def read_cvat(path: Path, left_out: LeftOut | None = None) -> CvatFile:
    """Read a file; errors of single images and shapes go to `left_out`.

    Raises:
        DataError: if it is not XML, declares a document type, is of a video or of another format, or an image has no
            name or size.
    """
    reader = _Reader(path, left_out or LeftOut())
    with telling(path, FORM):
        stream_xml(path, reader.begin, reader.end)
    return reader.file


def shape_from(shape: CvatShape, outline: Outline) -> Shape:
    """Make the shape of a polygon, a mask or an ellipse.

    Raises:
        KeyError: if an attribute is missing.
        ValueError: if one is not as its kind asks for.
    """
    written = shape.attributes
    if shape.kind == "polygon":
        pairs = [[float(number) for number in pair.split(",")] for pair in written["points"].split(";")]
        return Polygons([corners_of(pairs, 3)], outline)
    if shape.kind == "ellipse":
        cx, cy, rx, ry, angle = (float(written.get(name, "0")) for name in ("cx", "cy", "rx", "ry", "rotation"))
        return OpenCvEllipse((cx, cy), (rx, ry), angle)
    left, top, width, height = (int(written[name]) for name in ("left", "top", "width", "height"))
    # Runs of background and mask in turn, row by row of the mask's own box.
    runs = [int(run) for run in written["rle"].split(",")]
    checked_size(height, width)
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError(f"its run lengths cover {sum(runs)} pixels of {width} x {height}")
    return Bitmap(np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width), top, left)
