"""YOLO segmentation: a text file of polygons for each image, painted into masks.

Format: https://docs.ultralytics.com/datasets/segment/, also what Roboflow exports. data.yaml names the classes and
where the images of train, val and test lie, such as images/train or ../train/images; labels/ takes the place of
images/ in the path of a label file. A line is the number of a class, from 0 on, and x y x y … of a polygon as
fractions of width and height. An image without a label file shows no object.

Corners are pixels, which cv2.fillPoly paints, as in Ultralytics: fractions of a pixel are cut off, but for those that
rounding in the file took from a whole number. The smaller of two objects is seen.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.names import find_named
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Outline, Polygons
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.image_files import upright_size
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS, build_found, choose_classes
from naslora_core.errors import DataError
from naslora_core.reading import parse_yaml

YAML_FILE = "data.yaml"
PARTS = ("train", "val", "test")
# What rounding in a file may take at most from a whole number, and what that of float32 takes, in pixels.
_WRITTEN_PX, _FLOAT_PX = 0.05, 0.001


def labelled_objects(
    image: Path, labels: Path, class_ids: Mapping[int, int], outline: Outline, left_out: LeftOut | None = None
) -> list[AnnotatedObject]:
    """Return the objects of a label file, a polygon a line; without a file there is none.

    Args:
        image: gives the size.
        labels: the label file.
        class_ids: by number in the file; what is not there is background.
        outline: how to paint them.
        left_out: takes the errors of single lines.

    Raises:
        DataError: if the image or a line cannot be read.
    """
    height, width = upright_size(image)
    objects = []
    for place, number, polygon, decimals in read_polygons(labels, left_out):
        if number in class_ids:
            corners = polygon * (width, height)
            if outline == "centres":
                lost = 0.5 * 10.0**-decimals * np.array([width, height]) + _FLOAT_PX
                corners = np.floor(corners + np.minimum(lost, _WRITTEN_PX))
            objects.append(AnnotatedObject(f"line {place}", class_ids[number], Polygons([corners], outline)))
    return objects


def read_polygons(path: Path, left_out: LeftOut | None = None) -> list[tuple[int, int, np.ndarray, int]]:
    """Return what each line says; nothing without a file.

    That is the number of the line, the number of the class, (N, 2) corners as fractions of width and height, and with
    how many decimals they are written.

    Raises:
        DataError: for a line that is no polygon; the message names it.
    """
    polygons = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text: {error}; export it again") from error
    for place, line in enumerate(lines, start=1):
        if words := line.split():
            try:
                polygons.append((place, *_numbers(words, f"{path} line {place}")))
            except DataError as error:
                (left_out or LeftOut()).add(error)
    return polygons


def _numbers(words: list[str], place: str) -> tuple[int, np.ndarray, int]:
    try:
        number, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise DataError(f"{place}: {error}; expected a class and x y x y …") from error
    # Digits of an exponent are not counted: who writes one writes all digits there are.
    decimals = max((len(word.partition(".")[2]) for word in words[1:]), default=0)
    return number, _polygon(values, place), decimals


def find_yolo(request: ImportRequest) -> Found:
    """Find the images of each part, and read all label files to see that they hold polygons.

    Raises:
        DataError: if data.yaml or a label file is not as expected, or a class has no name.
        ConfigError: if a class is asked for that data.yaml does not name.
    """
    root = request.folder
    settings = _read_settings(root / YAML_FILE)
    names = _class_names(settings, root / YAML_FILE)
    classes = choose_classes(request.classes, list(names.values()))
    class_ids = {number: classes.index(name) + 1 for number, name in names.items() if name in classes}
    outline = request.outline or "centres"
    found = [
        (part, name, image, _labels_of(image, root))
        for part in PARTS
        for folder in _image_folders(settings, part, root)
        for name, image in list_images(folder).items()
    ]
    if not found:
        raise DataError(f"{root / YAML_FILE} leads to no image; expected {', '.join(PARTS)} to name folders of images")
    unreadable: set[Path] = set()
    for *_, labels in found:
        try:
            numbers = {number for _, number, *_ in read_polygons(labels, request.left_out)}
        except DataError as error:
            request.left_out.add(error)
            unreadable.add(labels)
            continue
        if wrong := numbers - names.keys():
            request.left_out.add(
                DataError(f"{labels}: class {min(wrong)} has no name in {YAML_FILE}, which has {len(names)}; add it")
            )
    found = [one for one in found if one[-1] not in unreadable]
    labels_missing = sum(not labels.is_file() for *_, labels in found)
    unique = unique_names([(str(image.parent.relative_to(root.resolve())), name) for _, name, image, _ in found])
    sources = [
        Source(
            name,
            image,
            ObjectMask(
                labels,
                image,
                partial(labelled_objects, image, labels, class_ids, outline, request.left_out),
                "smaller_on_top",
            ),
            SPLIT_WORDS[part],
        )
        for name, (part, _, image, labels) in zip(unique, found, strict=True)
    ]
    note = f"{labels_missing} images have no label file: they count as showing no object"
    return build_found(
        root, sources, classes, f"YOLO polygons (outlines: {outline})", (note,) if labels_missing else ()
    )


def _polygon(values: list[float], place: str) -> np.ndarray:
    if len(values) == 4:
        raise DataError(f"{place} is a box, not an outline; export the labels for segmentation")
    if len(values) < 6 or len(values) % 2:
        raise DataError(f"{place} has {len(values)} coordinates; expected x y of three corners or more")
    # Exports round corners a little out of the image; pixels instead of fractions are another matter.
    if not all(math.isfinite(value) and -0.01 <= value <= 1.01 for value in values):
        raise DataError(f"{place} has coordinates outside 0 to 1; expected fractions of width and height")
    return np.clip(np.reshape(values, (-1, 2)), 0.0, 1.0)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not valid YAML in UTF-8: {error}; correct it") from error
    if not isinstance(settings, dict) or not settings.get("names"):
        raise DataError(f"{path} has no names; list the names of the classes there")
    return settings


def _class_names(settings: dict[str, Any], path: Path) -> dict[int, str]:
    names = settings["names"]
    try:
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: names must be a list, or names by number; found {names}") from error


def _image_folders(settings: dict[str, Any], part: str, root: Path) -> Iterable[Path]:
    """Yield the folders of a part that data.yaml names, or else those that are usual; all lie within `root`."""
    named = settings.get(part) or settings.get("valid" if part == "val" else part) or []
    base = root / str(settings.get("path") or "")
    usual = [f"images/{word}" for word in SPLIT_WORDS] + [f"{word}/images" for word in SPLIT_WORDS]
    of_part = [place for place in usual if SPLIT_WORDS[part] == SPLIT_WORDS.get(place.replace("images", "").strip("/"))]
    written = [str(place) for place in (named if isinstance(named, list) else [named])]
    if "\0" in "".join(map(str, (base, *written))):
        raise DataError(f"{root / YAML_FILE}: the path of {part} has a character that no path has; correct it")
    # Roboflow writes ../train/images for train/images; paths of the machine that made the file are of no use either.
    places = [base / place for place in written] + [root / place.removeprefix("../") for place in written]
    inside = dict.fromkeys(path.resolve() for path in places if path.resolve().is_relative_to(root.resolve()))
    folders = [path for path in inside if path.is_dir()]
    return folders or [path for place in of_part if (path := (root / place).resolve()).is_dir()][:1]


def _labels_of(image: Path, root: Path) -> Path:
    parts = list(image.relative_to(root.resolve()).parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    path = root.resolve().joinpath(*parts).with_suffix(".txt")
    return find_named(path, root.resolve()) or path


register(
    Importer(
        name="yolo",
        summary="YOLO segmentation: data.yaml, images and text files of polygons",
        expected=f"{YAML_FILE} with names, images/ and labels/",
        is_root=lambda folder: (folder / YAML_FILE).is_file(),
        find=find_yolo,
        options=frozenset({"classes", "outline"}),
    )
)
