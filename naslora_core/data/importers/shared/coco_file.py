"""Read and check one COCO JSON file, and paint its annotations into the masks of its images."""

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from naslora_core.data.importers.shared.rasterise import Region, checked_counts, polygons_to_counts, rasterise
from naslora_core.errors import DataError
from naslora_core.reading import read_object

KEYS = ("images", "annotations", "categories")
# As many as a polygon of three points has; pycocotools takes four numbers for a box.
LEAST_COORDINATES = 6
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 0


@dataclass(frozen=True, eq=False)
class CocoMask:
    """The mask of one image, painted from its annotations when called.

    Attributes:
        file: the JSON file, for error messages.
        size: (H, W) of the image.
        annotations: all of the image.
        class_ids: by category id; categories that are not there are background.
    """

    file: Path
    size: tuple[int, int]
    annotations: Sequence[dict[str, Any]]
    class_ids: dict[int, int]

    def __call__(self) -> np.ndarray:
        """Return (H, W) uint8 class ids.

        Raises:
            DataError: if an outline is not valid.
        """
        return rasterise(self._regions(), *self.size)

    def _regions(self) -> Iterable[Region]:
        for annotation in self.annotations:
            class_id = self.class_ids.get(annotation["category_id"])
            if class_id is None or not has_outline(annotation):
                continue
            try:
                counts = _counts(annotation["segmentation"], *self.size)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise DataError(
                    f"{self.file}: annotation {annotation.get('id')} is no outline: {error}; correct or remove it"
                ) from error
            yield Region(class_id, counts, bool(annotation.get("iscrowd")))


def read_coco(file: Path) -> dict[str, Any]:
    """Read a COCO file, and check that its annotations refer to images and categories in it.

    Raises:
        DataError: if not, or it is not JSON with images, annotations and categories.
    """
    try:
        content = read_object(file)
        categories = {category["id"]: _text(category["name"]) for category in content["categories"]}
        images = {image["id"] for image in content["images"] if _text(image["file_name"])}
        for image in content["images"]:
            height, width = int(image["height"]), int(image["width"])
            if min(height, width) < 1 or height * width > MOST_PIXELS:
                raise ValueError(f"image {image['id']} has a size of {image['width']} x {image['height']}")
        for entry in content["annotations"]:
            if entry["image_id"] not in images or entry["category_id"] not in categories:
                raise ValueError(f"annotation {entry.get('id')} is of an image or a category that is not listed")
            has_outline(entry)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{file} is not sound COCO JSON with {', '.join(KEYS)}: {reason}; export it again") from error
    return content


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a name is {value!r}, expected text")
    return value


def has_outline(annotation: dict[str, Any]) -> bool:
    """Say whether an annotation has run lengths or a polygon of three corners, and is not only a box."""
    outline = annotation.get("segmentation")
    if isinstance(outline, list):
        return any(len(polygon) >= LEAST_COORDINATES for polygon in outline)
    return bool(outline)


def looks_like_coco(file: Path) -> bool:
    """Say whether a file holds the keys of COCO, without reading all of it as JSON."""
    if file.name.startswith(".") or not file.is_file() or not file.stat().st_size:
        return False
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(f'"{key}"'.encode()) >= 0 for key in KEYS)


def _counts(segmentation: Any, height: int, width: int) -> list[int]:
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"its size {segmentation['size']} is not that of the image, {[height, width]}")
        return checked_counts(segmentation["counts"], height, width)
    return polygons_to_counts([polygon for polygon in segmentation if len(polygon) >= LEAST_COORDINATES], height, width)
