"""COCO JSON: outlines of objects as polygons or run lengths, painted into masks.

Format: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, https://cocodataset.org/#format-data; what
CVAT, Label Studio, Roboflow and others export as COCO. One JSON file, or one for each split with train, val or test in
its name or in that of its folder. Images lie beside the file, in images/, in a folder named as the split, or anywhere
under one name only. Class ids follow the category ids, from 1 on; categories without any object get none.

Outlines are painted as pycocotools paints them, unless the areas in the files show that their corners are pixels. The
smaller of two objects is seen. `iscrowd` says nothing on which lies above: in COCO itself it marks groups, drawn as run
lengths, but supervision sets it for every object with a hole or of two parts, and datumaro for every mask.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import ObjectMask
from naslora_core.data.importers.painting.outline_choice import choose_outline
from naslora_core.data.importers.painting.shapes import Outline
from naslora_core.data.importers.shared.coco_file import (
    LEAST_COORDINATES,
    has_outline,
    looks_like_coco,
    objects_of,
    polygons_of,
    read_coco,
    stated_size,
)
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.image_files import index_images, locate_image
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes, once_each, split_from_path
from naslora_core.errors import DataError, few


def find_coco(request: ImportRequest) -> Found:
    """Read all COCO files of a folder, and find the images they name.

    Raises:
        DataError: if a file is not COCO, holds boxes only, refers to what it does not hold, or cannot be told from
            the others.
        ConfigError: if a class is asked for that is no category.
    """
    root = request.folder
    files = _coco_files(root)
    splits = {file: split_from_path(file.relative_to(root)) for file in files}
    if len(files) > 1 and None in splits.values():
        unclear = few(file.relative_to(root) for file, split in splits.items() if split is None)
        raise DataError(f"{root}: of several COCO files each needs train, val or test in its name; rename {unclear}")
    contents = dict(request.left_out.read_each(lambda file: (file, read_coco(file, request.left_out)), files))
    names = category_names(contents)
    annotations = [entry for content in contents.values() for entry in content["annotations"]]
    choice = choose_outline(annotations, request.outline)
    if not any(has_outline(entry, choice.outline) for entry in annotations):
        raise DataError(f"{files[0]} has no polygons and no run lengths, maybe boxes only; export outlines")
    drawn = [entry for entry in annotations if has_outline(entry)]
    used = {entry["category_id"] for entry in drawn}
    classes = choose_classes(request.classes, [name for number, name in sorted(names.items()) if number in used])
    class_ids = {number: classes.index(name) + 1 for number, name in names.items() if name in classes}
    images = index_images(root)
    found = [
        (str(Path(splits[file] or "", written).parent), source)
        for file in files
        for written, source in _sources(
            file, contents[file], class_ids, choice.outline, images, root, splits[file], request.left_out
        )
    ]
    found = once_each(found, request.left_out)
    labels = unique_names([(place, source.name) for place, source in found])
    sources = [replace(source, name=label) for label, (_, source) in zip(labels, found, strict=True)]
    notes = (
        *([choice.note] if choice.note else []),
        *_notes(drawn, len(annotations) - len(drawn), names, used, choice.outline),
    )
    return build_found(root, sources, classes, f"COCO (outlines: {choice.outline})", notes)


def category_names(contents: Mapping[Path, Mapping[str, Any]]) -> dict[int, str]:
    """Return the names of categories by number in all files.

    Raises:
        DataError: if a number has two names.
    """
    names: dict[int, str] = {}
    for file, content in contents.items():
        for category in content["categories"]:
            if names.setdefault(category["id"], category["name"]) != category["name"]:
                raise DataError(
                    f"{file}: category {category['id']} is '{category['name']}', elsewhere "
                    f"'{names[category['id']]}'; export all splits of one project"
                )
    return names


def _sources(
    file: Path,
    content: dict[str, Any],
    class_ids: dict[int, int],
    outline: Outline,
    images: dict[str, list[Path]],
    root: Path,
    split: str | None,
    left_out: LeftOut,
) -> Iterable[tuple[Path, Source]]:
    of_image: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    named = [Path(image["file_name"].replace("\\", "/")) for image in content["images"]]
    # Some tools list an image once for each annotator, and those who drew nothing with no annotation.
    drawn = {written for written, image in zip(named, content["images"], strict=True) if of_image[image["id"]]}
    bare: set[Path] = set()
    for written, image in zip(named, content["images"], strict=True):
        if not of_image[image["id"]] and (written in drawn or written in bare):
            continue
        bare |= set() if of_image[image["id"]] else {written}
        with left_out.taking():
            objects = partial(objects_of, file, of_image[image["id"]], class_ids, outline, left_out)
            mask = ObjectMask(file, stated_size(image), objects, "smaller_on_top")
            path = locate_image(written, file, images, root)
            yield written, Source(one_form(written.stem), path, mask, split)


def _notes(
    drawn: list[dict[str, Any]], without: int, names: dict[int, str], used: set[int], outline: Outline
) -> tuple[str, ...]:
    unused = few((name for number, name in names.items() if number not in used), 20)
    notes = [f"categories without any object were left out: {unused}"] if unused else []
    if without:
        notes.append(f"{without} objects have no outline and were left out")
    short = [len(polygon) < LEAST_COORDINATES[outline] for entry in drawn for polygon in polygons_of(entry)]
    if any(short):
        notes.append(f"{sum(short)} of {len(short)} polygons have fewer than three corners, and thus no pixel")
    return tuple(notes)


def _coco_files(root: Path) -> list[Path]:
    files = [file for pattern in ("*.json", "*/*.json") for file in sorted(root.glob(pattern))]
    found = [file for file in files if looks_like_coco(file) and not looks_like_coco(file, ("segments_info",))]
    # The official data set has the same images in captions_ and person_keypoints_ files as well.
    instances = [file for file in found if file.name.startswith("instances_")]
    return instances or found


register(
    Importer(
        name="coco",
        summary="COCO JSON: polygons or run lengths, one file a split or one for all",
        expected="a JSON file with images, annotations and categories, and the images it names",
        is_root=lambda folder: bool(_coco_files(folder)),
        find=find_coco,
        options=frozenset({"classes", "outline"}),
    )
)
