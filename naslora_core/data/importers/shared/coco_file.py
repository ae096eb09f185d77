"""Read and check one COCO JSON file, and make objects of its annotations."""

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject
from naslora_core.data.importers.painting.shapes import Outline, Polygons, Runs, Shape
from naslora_core.data.importers.shared.image_files import checked_size
from naslora_core.data.importers.shared.json_files import reason_of
from naslora_core.errors import DataError
from naslora_core.reading import read_object

KEYS = ("images", "annotations", "categories")
# As many as a polygon of three points has; pycocotools takes four numbers for a box.
LEAST_COORDINATES: dict[Outline, int] = {"edges": 6, "centres": 2}


def read_coco(file: Path, left_out: LeftOut | None = None) -> dict[str, Any]:
    """Read a COCO file, and check that its annotations refer to images and categories in it.

    Args:
        file: the JSON file.
        left_out: takes the errors of single annotations, which are then missing in what is returned.

    Raises:
        DataError: if not, or it is not JSON with images, annotations and categories.
    """
    try:
        content = read_object(file)
        categories = {category["id"]: checked_text(category["name"]) for category in content["categories"]}
        listed = content["images"]
        content["images"] = checked_images(file, listed, left_out or LeftOut())
        images = {image["id"] for image in content["images"]}
        # What was drawn on an image that is left out goes with it, and is not counted once more.
        gone = [one["id"] for one in listed if isinstance(one, dict) and "id" in one and one["id"] not in images]
        sound = []
        for place, entry in enumerate(content["annotations"], start=1):
            if gone and isinstance(entry, dict) and entry.get("image_id") in gone:
                continue
            try:
                _check_annotation(entry, images, categories)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                if left_out is None or not left_out.skip:
                    raise
                reason = reason_of(error)
                left_out.add(DataError(f"{file}: the annotation in place {place} is not sound: {reason}"))
            else:
                sound.append(entry)
        content["annotations"] = sound
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = reason_of(error)
        raise DataError(f"{file} is not sound COCO JSON with {', '.join(KEYS)}: {reason}; export it again") from error
    return content


def checked_images(file: Path, listed: Sequence[Any], left_out: LeftOut) -> list[dict[str, Any]]:
    """Return the images that a file lists, each once, without those whose entry is not sound.

    Raises:
        DataError: if one is not sound: it has no name or no size, or two have one number.
    """
    by_number: dict[Any, dict[str, Any]] = {}
    twice: dict[Any, None] = {}
    for place, image in enumerate(listed, start=1):
        try:
            checked_text(image["file_name"])
            stated_size(image)
            if by_number.setdefault(image["id"], image)["file_name"] != image["file_name"]:
                twice[image["id"]] = None
                first = by_number[image["id"]]["file_name"]
                raise ValueError(f"{image['file_name'][:80]!r} has the number {image['id']!r:.40} of {first[:80]!r}")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            if not left_out.skip:
                raise
            reason = reason_of(error)
            left_out.add(DataError(f"{file}: the image in place {place} is not sound: {reason}"))
    # Nobody knows of which of both the annotations are.
    return [image for number, image in by_number.items() if number not in twice]


def _check_annotation(entry: dict[str, Any], images: set[Any], categories: dict[Any, str]) -> None:
    if entry["image_id"] not in images or entry["category_id"] not in categories:
        raise ValueError(f"annotation {entry.get('id')} is of an image or a category that is not listed")
    polygons_of(entry)


def stated_size(image: Mapping[str, Any]) -> tuple[int, int]:
    """Return (H, W) of an image that a file lists.

    Raises:
        ValueError: if it is empty, or too large to be opened.
        KeyError: if it is not there.
    """
    return checked_size(int(image["height"]), int(image["width"]), f"image {image.get('id')} has a size of")


def checked_text(value: Any) -> str:
    """Return a name, raising ValueError if it is none."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"a name is {value!r}, expected text")
    return value


def polygons_of(annotation: Mapping[str, Any]) -> list[Any]:
    """Return the lists of coordinates of an annotation; none if it has run lengths or no outline.

    Some tools write the only polygon as a list of numbers.
    """
    outline = annotation.get("segmentation")
    if not isinstance(outline, list) or not outline:
        return []
    polygons = [outline] if isinstance(outline[0], int | float) else outline
    return [polygon for polygon in polygons if len(polygon)]


def has_outline(annotation: Mapping[str, Any], outline: Outline = "centres") -> bool:
    """Say whether an annotation has run lengths or a polygon of so many corners that it can have pixels."""
    if isinstance(annotation.get("segmentation"), dict):
        return bool(annotation["segmentation"])
    return any(len(polygon) >= LEAST_COORDINATES[outline] for polygon in polygons_of(annotation))


def shape_of(segmentation: Any, outline: Outline) -> Shape:
    """Return the shape of a COCO segmentation, polygons or run lengths.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: if it is neither.
    """
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        return Runs(segmentation["counts"], (height, width))
    rings = []
    for polygon in polygons_of({"segmentation": segmentation}):
        numbers = np.asarray(polygon, dtype=float)
        if numbers.ndim != 1 or len(numbers) % 2:
            raise ValueError(f"a polygon has {numbers.size} coordinates; expected x and y of each corner")
        rings.append(numbers.reshape(-1, 2))
    return Polygons(rings, outline)


def objects_of(
    file: Path,
    annotations: Sequence[Mapping[str, Any]],
    class_ids: Mapping[Any, int],
    outline: Outline,
    left_out: LeftOut | None = None,
) -> list[AnnotatedObject]:
    """Return the objects of the categories in `class_ids`, by category id, that have an outline.

    Errors of single annotations go to `left_out`.

    Raises:
        DataError: if an outline is none.
    """
    objects = []
    for annotation in annotations:
        class_id = class_ids.get(annotation["category_id"])
        if class_id is None or not annotation.get("segmentation"):
            continue
        name = f"annotation {annotation.get('id')}"
        try:
            shape = shape_of(annotation["segmentation"], outline)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            (left_out or LeftOut()).add(DataError(f"{file}: {name} is no outline: {error}; correct or remove it"))
            continue
        if not isinstance(shape, Polygons) or shape.rings:
            objects.append(AnnotatedObject(name, class_id, shape, stated_area(annotation)))
    return objects


def stated_area(annotation: Mapping[str, Any]) -> float | None:
    """Return the area that an annotation states, in pixels; None for none, or what is no area."""
    area = annotation.get("area")
    return float(area) if isinstance(area, int | float) and not isinstance(area, bool) and 0 < area < 1e12 else None


def looks_like_coco(file: Path, keys: Sequence[str] = KEYS) -> bool:
    """Say whether a file holds the keys of COCO, without reading all of it as JSON."""
    if file.name.startswith(".") or not file.is_file() or not file.stat().st_size:
        return False
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(f'"{key}"'.encode()) >= 0 for key in keys)
