"""Read the JSON export of Label Studio: tasks, the annotation of each that counts, and the regions in it.

Format: https://labelstud.io/guide/export, "Label Studio JSON format of annotated tasks". Coordinates are percent of
width and height of the image as it is stored: a view that the annotator turned (image_rotation) does not turn them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.importers.drawn.readers.brush_runs import BrushStroke
from naslora_core.data.importers.drawn.readers.tool_shapes import corners_of
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.shapes import Outline, Polygons, Shape
from naslora_core.data.importers.shared.image_files import checked_size
from naslora_core.data.importers.shared.json_files import telling
from naslora_core.errors import few
from naslora_core.reading import read_json

FORM = "Label Studio JSON with tasks that have data and annotations"
# What a region's value has, by kind; the first that fits counts.
_KINDS = {"points": "polygon", "rle": "brush", "radiusX": "ellipse", "imageDataURL": "bitmask", "vertices": "vector",
          "height": "rectangle", "width": "keypoint"}  # fmt: skip
PAINTED = ("polygon", "brush")


@dataclass(frozen=True, eq=False)
class Region:
    """One region of an annotation, as written; `labels` has all that it was given, `size` is (H, W) if stated."""

    kind: str
    labels: tuple[str, ...]
    value: Mapping[str, Any]
    size: tuple[int, int] | None
    identity: str


@dataclass(frozen=True, eq=False)
class Task:
    """A task: its number, the name of its image, and the regions of the annotation that counts.

    Attributes:
        regions: None if nobody annotated it, or all who did skipped it.
        annotations: how many there are that nobody skipped.
        is_chosen: whether one of several is marked as ground truth, and is the one that counts.
    """

    number: int
    image: str
    regions: tuple[Region, ...] | None
    annotations: int = 0
    is_chosen: bool = False


def read_tasks(path: Path, left_out: LeftOut | None = None) -> list[Task]:
    """Read all tasks of an export; errors of single tasks and regions go to `left_out`.

    Raises:
        DataError: if it is not such JSON, a task has no image, or several, or a region is not as expected.
    """
    with telling(path, FORM):
        content = read_json(path)
        if not isinstance(content, list):
            raise ValueError("it is no list of tasks")
        taking = left_out or LeftOut()
        return taking.read_each(partial(_task, path, taking), content)


def read_image_names(path: Path) -> dict[int, tuple[str, bool]]:
    """Return by the numbers of tasks the names of their images, of an export as JSON or as JSON-MIN.

    With each comes whether someone annotated the task and drew nothing.

    Raises:
        DataError: as `read_tasks`.
    """
    with telling(path, FORM):
        content = read_json(path)
        if not isinstance(content, list):
            raise ValueError("it is no list of tasks")
        names: dict[int, tuple[str, bool]] = {}
        for task in content:
            data = task.get("data") or task
            kept = [one["result"] for one in task.get("annotations", ()) if not one.get("was_cancelled")]
            # JSON-MIN has an entry for each annotation, and no list in it where nothing was drawn.
            drawn = any(kept) or any(isinstance(value, list) for value in data.values())
            empty = not drawn and bool(kept or "annotation_id" in task)
            before = names.get(_number(task), ("", True))
            names[_number(task)] = (image_name(data), empty and before[1])
    return names


def image_name(data: Mapping[str, Any]) -> str:
    """Return the path of a task's image within what was uploaded or synchronised.

    Of a URL that is the path without the host, of /data/local-files/?d=PATH the PATH.

    Raises:
        ValueError: if `data` names no image, or several.
    """
    found = {key: name for key, value in data.items() if isinstance(value, str) and (name := _path_in(value))}
    if "image" in found or len(found) == 1:
        return found.get("image") or next(iter(found.values()))
    named = few(sorted(found)) or "none"
    raise ValueError(f"a task with the data {', '.join(map(str, data))[:80]} has no single image: {named}")


def written_names(name: str) -> list[str]:
    """Return the names under which an image may lie in a folder: as written, and without the prefix of an upload."""
    path = Path(name)
    prefix, dash, rest = path.name.partition("-")
    if dash and rest and len(prefix) == 8 and set(prefix) <= set("0123456789abcdef"):
        return [name, str(path.with_name(rest))]
    return [name]


def shape_from(region: Region, size: tuple[int, int], outline: Outline) -> Shape:
    """Make the shape of a polygon or a stroke of a brush in an image of `size` (H, W).

    Raises:
        ValueError: if its points or its run lengths are not as expected.
    """
    if region.kind == "brush":
        return BrushStroke(region.value["rle"], region.size or size)
    corners = corners_of(region.value["points"], 3)
    return Polygons([corners / 100 * np.array(size[::-1])], outline)


def _task(path: Path, left_out: LeftOut, written: Any) -> Task:
    with telling(path, FORM):
        return _read_task(path, left_out, written)


def _read_task(path: Path, left_out: LeftOut, written: Any) -> Task:
    name = image_name(written["data"])
    annotations = written["annotations"]
    kept = [one for one in annotations if not one.get("was_cancelled")]
    if not kept:
        return Task(_number(written), name, None)
    truth = [one for one in kept if one.get("ground_truth")]
    # ISO dates of one time zone sort as text.
    counts = max(truth or kept, key=lambda one: (str(one.get("updated_at") or ""), one.get("id") or 0))
    regions = tuple(_regions(path, left_out, counts["result"]))
    return Task(_number(written), name, regions, len(kept), len(truth) == 1)


def _number(written: Any) -> int:
    if type(written["id"]) is not int:
        raise ValueError(f"a task has the id {written['id']!r:.40}, expected a whole number")
    return int(written["id"])


def _regions(path: Path, left_out: LeftOut, results: Sequence[Mapping[str, Any]]) -> Iterator[Region]:
    # With <Labels> beside <Polygon>, one result has the points and another of the same id points and labels.
    seen: set[str] = set()
    for result in sorted(results, key=lambda one: not _has_labels(one.get("value") or {})):
        value = result.get("value") or {}
        kind = next((kind for key, kind in _KINDS.items() if key in value), None)
        identity = str(result.get("id", len(seen)))
        if kind is None or identity in seen:
            continue
        seen.add(identity)
        stated = (result.get("original_height"), result.get("original_width"))
        region = None
        with left_out.taking(), telling(path, f"{FORM} (region {identity[:40]})"):
            size = None if None in stated else checked_size(*stated)
            region = Region(kind, _labels(value), value, size, identity)
        if region is not None:
            yield region


def _has_labels(value: Mapping[str, Any]) -> bool:
    return any(key.endswith("labels") and isinstance(given, list) and given for key, given in value.items())


def _labels(value: Mapping[str, Any]) -> tuple[str, ...]:
    for key, given in value.items():
        if key.endswith("labels") and isinstance(given, list):
            if not all(isinstance(one, str) and one for one in given):
                raise ValueError(f"{key} has something that is no text: {given!r:.80}")
            return tuple(given)
    return ()


def _path_in(value: str) -> str:
    url = urlsplit(value)
    named = (
        parse_qs(url.query).get("d", [""])[0] if url.path.rstrip("/").endswith("/local-files") else unquote(url.path)
    )
    return named if Path(named).suffix.lower() in IMAGE_SUFFIXES else ""
