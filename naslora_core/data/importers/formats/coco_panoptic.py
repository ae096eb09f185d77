"""COCO panoptic: a JSON file, and for each image a PNG file whose colours are the numbers of its segments.

Format: Kirillov et al., "Panoptic Segmentation", CVPR 2019, https://cocodataset.org/#format-data; what datumaro and
Detectron2 write, too. The number of a segment is R + 256 G + 65536 B; the file gives each its category, a thing or
stuff. PNG files lie in a folder named as the JSON file, or beside it. 0 is of no segment: COCO, whose images are
labelled everywhere else, leaves such pixels out of its metrics, while exports of single objects have it as background.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.dataset.image_files.pixels import load_picture
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.formats.coco import category_names
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Bitmap
from naslora_core.data.importers.shared.coco_file import (
    KEYS,
    checked_images,
    checked_text,
    looks_like_coco,
    stated_area,
    stated_size,
)
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.image_files import index_images, locate_image
from naslora_core.data.importers.shared.json_files import reason_of
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes, once_each, split_from_path
from naslora_core.errors import ConfigError, DataError, few
from naslora_core.reading import read_object

# In COCO itself a few percent of the pixels are of no segment.
_FEW = 0.2


def find_panoptic(request: ImportRequest) -> Found:
    """Read the files, find the images and segments they name, and see how many pixels are of no segment.

    Raises:
        DataError: if a file is not sound, or a PNG file is missing or holds segments that are not listed.
        ConfigError: if many pixels are of no segment, and the request does not say what they mean.
    """
    root = request.folder
    files = _panoptic_files(root)
    images = index_images(root)
    taking = request.left_out
    contents = dict(taking.read_each(lambda file: (file, _read(file, images, root, taking)), files))
    names = category_names(contents)
    used = {
        segment["category_id"]
        for content in contents.values()
        for annotation in content["annotations"]
        for segment in annotation["segments_info"]
    }
    classes = choose_classes(request.classes, [name for number, name in sorted(names.items()) if number in used])
    class_ids = {number: classes.index(name) + 1 for number, name in names.items() if name in classes}
    void = request.void or _void_of(contents, images, root, taking)
    entries = [
        (str(Path(split_from_path(file.relative_to(root)) or "", image["file_name"]).parent), source)
        for file, content in contents.items()
        for image, source in _sources(file, content, class_ids, void == "ignore", images, root)
    ]
    entries = once_each(entries, taking)
    labels = unique_names([(place, source.name) for place, source in entries])
    sources = [replace(source, name=label) for label, (_, source) in zip(labels, entries, strict=True)]
    note = "pixels of no segment count as not labelled (--void background: as showing no object)"
    notes = (note,) if void == "ignore" else ()
    return build_found(root, sources, classes, f"COCO panoptic (void: {void})", notes, ignores=void == "ignore")


def segment_numbers(path: Path) -> np.ndarray:
    """Return the numbers of segments, (H, W) int32, that the colours of a PNG file are.

    Raises:
        DataError: if the file cannot be read, or has no colours.
    """
    picture = load_picture(path)
    if picture.mode not in ("RGB", "RGBA"):
        raise DataError(f"{path} has the mode {picture.mode}; expected the colours of numbers of segments (RGB)")
    red, green, blue = np.moveaxis(np.asarray(picture)[..., :3].astype(np.int32), 2, 0)
    numbers: np.ndarray = red + 256 * green + 65536 * blue
    return numbers


def segments_of(
    path: Path, size: tuple[int, int], segments: list[dict[str, Any]], class_ids: Mapping[int, int], ignores: bool
) -> list[AnnotatedObject]:
    """Return the segments of an image as objects, and what is of none if it is to be ignored.

    Raises:
        DataError: if the file is not of the image's size, or holds segments that are not listed.
    """
    numbers = segment_numbers(path)
    if numbers.shape != size:
        raise DataError(f"{path} has {numbers.shape[1]} x {numbers.shape[0]} pixels, its image {size[1]} x {size[0]}")
    if unknown := sorted(set(np.unique(numbers).tolist()) - {0} - {segment["id"] for segment in segments}):
        raise DataError(
            f"{path} holds {len(unknown)} segments that the JSON file does not list: {few(unknown)}; export anew"
        )
    void = [AnnotatedObject("void", IGNORED_ID, Bitmap(numbers == 0))] if ignores and not numbers.all() else []
    return void + [
        AnnotatedObject(
            f"segment {segment['id']}",
            class_ids[segment["category_id"]],
            Bitmap(numbers == segment["id"]),
            stated_area(segment),
        )
        for segment in segments
        if segment["category_id"] in class_ids
    ]


def _read(file: Path, paths: Mapping[str, list[Path]], root: Path, left_out: LeftOut) -> dict[str, Any]:
    try:
        content = read_object(file)
        categories = {entry["id"] for entry in content["categories"] if checked_text(entry["name"])}
        content["images"] = checked_images(file, content["images"], left_out)
        sizes = {image["id"]: stated_size(image) for image in content["images"]}
        seen: set[Any] = set()
        sound = []
        for place, entry in enumerate(content["annotations"], start=1):
            try:
                _check_annotation(entry, sizes, categories)
                if entry["image_id"] in seen:
                    raise ValueError(f"'{entry['file_name']}' is of an image that has another file of segments")
                seen.add(entry["image_id"])
                with left_out.taking():
                    _png_of(entry, file, paths, root)
                    sound.append(entry)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                if not left_out.skip:
                    raise
                reason = reason_of(error)
                left_out.add(DataError(f"{file}: the annotation in place {place} is not sound: {reason}"))
        # Without its annotation an image would count as showing no object.
        lost = {one.get("image_id") for one in content["annotations"] if isinstance(one, dict) and one not in sound}
        content["images"] = [one for one in content["images"] if one["id"] not in lost - {e["image_id"] for e in sound}]
        content["annotations"] = sound
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = reason_of(error)
        raise DataError(
            f"{file} is not sound panoptic JSON with {', '.join(KEYS)}: {reason}; export it again"
        ) from error
    return content


def _check_annotation(entry: dict[str, Any], images: Mapping[Any, object], categories: set[Any]) -> None:
    numbers = [segment["id"] for segment in entry["segments_info"]]
    if entry["image_id"] not in images or not checked_text(entry["file_name"]):
        raise ValueError(f"'{entry['file_name']}' is of an image that is not listed")
    if any(segment["category_id"] not in categories for segment in entry["segments_info"]):
        raise ValueError(f"a segment of '{entry['file_name']}' is of a category that is not listed")
    if not all(isinstance(number, int) and 0 < number < 2**24 for number in numbers):
        raise ValueError(f"a segment of '{entry['file_name']}' has no number from 1 to {2**24 - 1}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"two segments of '{entry['file_name']}' have one number")


def _sources(
    file: Path,
    content: dict[str, Any],
    class_ids: dict[int, int],
    ignores: bool,
    images: dict[str, list[Path]],
    root: Path,
) -> list[tuple[dict[str, Any], Source]]:
    pngs = {annotation["image_id"]: _png_of(annotation, file, images, root) for annotation in content["annotations"]}
    segments = {annotation["image_id"]: annotation["segments_info"] for annotation in content["annotations"]}
    folders = {path.parent for path in pngs.values()}
    pictures = {name: [path for path in paths if path.parent not in folders] for name, paths in images.items()}
    sources = []
    for image in content["images"]:
        written, size = Path(image["file_name"].replace("\\", "/")), stated_size(image)
        number = image["id"]
        if number in pngs:
            objects = partial(segments_of, pngs[number], size, segments[number], class_ids, ignores)
        else:
            objects = partial(list[AnnotatedObject])
        # Without a PNG file an image shows no object, unless its pixels would then be of no use to anybody.
        mask = None if ignores and number not in pngs else ObjectMask(file, size, objects, "listed")
        picture = locate_image(written, file, pictures, root)
        sources.append((image, Source(written.stem, picture, mask, split_from_path(file.relative_to(root)))))
    return sources


def _png_of(annotation: dict[str, Any], file: Path, images: Mapping[str, list[Path]], root: Path) -> Path:
    written = Path(annotation["file_name"].replace("\\", "/"))
    known = images.get(one_form(written.name), [])
    for place in (file.parent / file.stem, root / file.stem, file.parent, root):
        path = one_form(str(place / written))
        if same := [found for found in known if one_form(str(found)) == path]:
            return same[0]
    raise DataError(f"{file}: '{written}' is not in {file.parent / file.stem} nor beside the file; put it there")


def _void_of(contents: dict[Path, dict[str, Any]], images: dict[str, list[Path]], root: Path, left_out: LeftOut) -> str:
    none = pixels = 0
    for file, content in contents.items():
        for annotation in content["annotations"]:
            with left_out.taking():
                numbers = segment_numbers(_png_of(annotation, file, images, root))
                none, pixels = none + int(np.count_nonzero(numbers == 0)), pixels + numbers.size
    if none > _FEW * pixels:
        raise ConfigError(
            f"{100 * none / pixels:.0f} % of the pixels are of no segment: --void background if they show no object, "
            "as where single objects were drawn; --void ignore if nobody labelled them, as in COCO itself"
        )
    return "ignore" if none else "background"


def _panoptic_files(root: Path) -> list[Path]:
    files = [file for pattern in ("*.json", "*/*.json") for file in sorted(root.glob(pattern))]
    return [file for file in files if looks_like_coco(file, (*KEYS, "segments_info"))]


def _has_instances(root: Path) -> bool:
    return any(file.name.startswith("instances_") for place in ("*.json", "*/*.json") for file in root.glob(place))


register(
    Importer(
        name="coco_panoptic",
        summary="COCO panoptic: JSON, and PNG files whose colours are numbers of segments",
        expected="a JSON file with segments_info, a folder of PNG files named as it, and the images",
        is_root=lambda folder: bool(_panoptic_files(folder)),
        find=find_panoptic,
        options=frozenset({"classes", "void"}),
        is_unmistakable=lambda folder: not _has_instances(folder),
    )
)
