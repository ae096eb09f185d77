"""Datumaro: annotations/<subset>.json and images/<subset>/<image>, as Datumaro and CVAT export them.

Format: https://open-edge-platform.github.io/datumaro, "Datumaro format", version 1.0. Polygons and masks are painted
by their z_order, the higher above, as Datumaro merges them; corners lie between pixels, as in pycocotools, with which
it paints. Class ids follow the labels, from 1 on; labels without any object get none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.drawn.readers.images import (
    ImageFiles,
    agreed_size,
    counted,
    named_apart,
    split_of_folder,
)
from naslora_core.data.importers.drawn.readers.tool_shapes import corners_of
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Outline, Polygons, Runs, Shape
from naslora_core.data.importers.shared.image_files import checked_size
from naslora_core.data.importers.shared.json_files import has_keys, telling
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few
from naslora_core.reading import read_object

FORM = "Datumaro JSON with categories and items"
FOLDER, KEYS = "annotations", ("categories", "items", "annotations")
OUTLINED = ("polygon", "mask")


def find_datumaro(request: ImportRequest) -> Found:
    """Read the files of all subsets, and find the images they name.

    Raises:
        DataError: if a file is not sound, the subsets number labels differently, or there are boxes only.
        ConfigError: if a class is asked for that is no label.
    """
    root = request.folder
    read = request.left_out.read_each(partial(_read, left_out=request.left_out), _files(root))
    contents = dict(read)
    labels = _labels(contents)
    entries = [entry for content in contents.values() for item in content["items"] for entry in item["annotations"]]
    drawn = [entry for entry in entries if entry["type"] in OUTLINED]
    if not drawn:
        raise DataError(f"{root / FOLDER} has no polygons and no masks, maybe boxes only; export outlines")
    used = {entry["label_id"] for entry in drawn}
    classes = choose_classes(request.classes, [name for number, name in enumerate(labels) if number in used])
    ids = {number: classes.index(name) + 1 for number, name in enumerate(labels) if name in classes}
    ids |= {number: 0 for number, name in enumerate(labels) if name == BACKGROUND}
    images, outline = ImageFiles(root), request.outline or "edges"
    sources = named_apart(
        (
            one
            for file, content in contents.items()
            for one in request.left_out.read_each(
                partial(_source, file, ids, images, outline, request.left_out), content["items"]
            )
        ),
        request.left_out,
    )
    others = Counter(entry["type"] for entry in entries if entry["type"] not in OUTLINED)
    notes = counted(others, "they are no outlines")
    if unused := [name for number, name in enumerate(labels) if number not in used]:
        notes = (*notes, f"labels without any outline were left out: {few(unused)}")
    return build_found(root, sources, classes, "Datumaro", notes)


def _read(file: Path, left_out: LeftOut) -> tuple[Path, dict[str, Any]]:
    with telling(file, FORM):
        content = read_object(file)
        names = [label["name"] for label in content["categories"]["label"]["labels"]]
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError("a label has no name")
        items = left_out.read_each(partial(_checked_item, file, len(names), left_out), content["items"])
    return file, content | {"items": items}


def _checked_item(file: Path, labels: int, left_out: LeftOut, item: dict[str, Any]) -> dict[str, Any]:
    with telling(file, FORM):
        if not isinstance(item["id"], str):
            raise ValueError(f"an item has the id {item['id']!r:.40}, expected text")
        if isinstance(item.get("image"), dict) and (size := item["image"].get("size")) is not None:
            checked_size(*size)
        check = partial(_checked_entry, file, labels, item["id"])
        return item | {"annotations": left_out.read_each(check, item["annotations"])}


def _checked_entry(file: Path, labels: int, item: str, entry: dict[str, Any]) -> dict[str, Any]:
    with telling(file, FORM):
        if not isinstance(entry["type"], str):
            raise ValueError(f"item {item} has an annotation of type {entry['type']!r:.40}")
        if entry["type"] in OUTLINED and entry["label_id"] not in range(labels):
            raise ValueError(f"item {item} has the label {entry['label_id']!r:.40} of {labels}")
        if type(entry.get("z_order", 0)) is not int:
            raise ValueError(f"item {item} has the z_order {entry['z_order']!r:.40}")
    return entry


def _labels(contents: Mapping[Path, dict[str, Any]]) -> list[str]:
    first, *others = (
        (file, [label["name"] for label in content["categories"]["label"]["labels"]])
        for file, content in contents.items()
    )
    for file, names in others:
        if names != first[1]:
            raise DataError(f"{file} has other labels than {first[0]}; export all subsets of one project")
    return first[1]


def _source(
    file: Path,
    ids: Mapping[int, int],
    images: ImageFiles,
    outline: Outline,
    left_out: LeftOut,
    item: dict[str, Any],
) -> tuple[str, Source]:
    stated = item.get("image") if isinstance(item.get("image"), dict) else {}
    written = str((stated or {}).get("path") or item["id"])
    # A path of the machine that exported it, or none: the id is the path within images/<subset>/.
    image = images.find(f"images/{file.stem}/{written}", file)
    if image is None:
        ends = sorted(IMAGE_SUFFIXES, key=lambda end: (end not in (".jpg", ".png"), end))
        image = next(filter(None, (images.find(f"images/{file.stem}/{item['id']}{end}", file) for end in ends)), None)
    size = agreed_size(tuple(stated["size"]) if stated and stated.get("size") else None, image, file)
    objects = partial(_objects, file, item, ids, outline, left_out)
    mask = ObjectMask(file, size, objects, "listed") if size else None
    name = Path(written.replace("\\", "/"))
    return (
        str(Path(file.stem, item["id"]).parent),
        Source(image.stem if image else name.stem, image, mask, split_of_folder(Path(file.stem))),
    )


def _objects(
    file: Path, item: Mapping[str, Any], ids: Mapping[int, int], outline: Outline, left_out: LeftOut
) -> Sequence[AnnotatedObject]:
    drawn = [entry for entry in item["annotations"] if entry["type"] in OUTLINED and entry["label_id"] in ids]
    objects = []
    for entry in sorted(drawn, key=lambda one: one.get("z_order", 0)):
        name = f"item {item['id']}, annotation {entry.get('id')}"
        with left_out.taking(), telling(file, f"{FORM} ({name})"):
            objects.append(AnnotatedObject(name, ids[entry["label_id"]], _shape(entry, outline)))
    return objects


def _shape(entry: Mapping[str, Any], outline: Outline) -> Shape:
    if entry["type"] == "mask":
        return Runs(entry["rle"]["counts"], tuple(entry["rle"]["size"]))
    points = entry["points"]
    if not isinstance(points, list) or len(points) % 2:
        raise ValueError("a polygon has an odd number of coordinates")
    return Polygons([corners_of(list(zip(points[::2], points[1::2], strict=True)), 3)], outline)


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted((folder / FOLDER).glob("*.json")) if has_keys(file, KEYS)]


register(
    Importer(
        name="datumaro",
        summary="Datumaro JSON: polygons and masks, a file a subset",
        expected=f"{FOLDER}/<subset>.json with categories and items, and images/",
        is_root=lambda folder: bool(_files(folder)),
        find=find_datumaro,
        options=frozenset({"classes", "outline"}),
    )
)
