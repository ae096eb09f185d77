"""labelme: a JSON file for each image, which lies beside it or is in it; also what X-AnyLabeling writes.

Format: https://github.com/wkentaro/labelme, versions 3 to 6. Shapes are painted one over the other as labelme paints
them, with `__ignore__` as pixels that nobody labelled and `_background_` as background. labels.txt, the list that
labelme is started with, gives the order of the classes where it is there; else it is the alphabet's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.drawn.readers.images import (
    ImageFiles,
    agreed_size,
    counted,
    named_apart,
    split_of_folder,
)
from naslora_core.data.importers.drawn.readers.labelme_file import (
    KEYS,
    KINDS,
    PLACE,
    WITHOUT_AREA,
    LabelmeFile,
    embedded_image,
    embedded_size,
    kind_of,
    read_labelme,
    shape_from,
)
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.shared.json_files import files_of, first_files, has_keys
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few
from naslora_core.reading import read_json

IGNORED, BACKGROUND_LABEL = "__ignore__", "_background_"
ORDER_FILES = ("labels.txt", "class_names.txt")


def find_labelme(request: ImportRequest) -> Found:
    """Read all files of a folder, and find their images.

    Raises:
        DataError: if a file is not sound, two are of one image, or one was drawn on an image of another size.
        ConfigError: if a class is asked for that no shape has.
    """
    root = request.folder
    listed_files = [file for file in files_of(root, ".json") if has_keys(file, KEYS) or _is_damaged(file)]
    files = request.left_out.read_each(partial(read_labelme, left_out=request.left_out), listed_files)
    painted = [shape for file in files for shape in file.shapes if kind_of(shape) in KINDS]
    used = {shape["label"] for shape in painted} - {IGNORED, BACKGROUND_LABEL}
    if not used:
        raise DataError(f"{root}: {len(files)} files of labelme have no shape with a label; draw some, or check")
    listed = [name for name in _order(root) if name in used]
    classes = choose_classes(request.classes, [*listed, *sorted(used.difference(listed))])
    ids = {name: number for number, name in enumerate(classes, start=1)}
    ids |= {IGNORED: IGNORED_ID, BACKGROUND_LABEL: 0, BACKGROUND: 0}
    images = ImageFiles(root)
    located = _locate(files, images, request.left_out)
    files = [file for file in files if file.path in located]
    made = partial(_source, located=located, ids=ids, root=root, left_out=request.left_out)
    sources = named_apart(request.left_out.read_each(made, files), request.left_out)
    ignores = any(shape["label"] == IGNORED for shape in painted)
    return build_found(root, sources, classes, "labelme JSON", _notes(files, located, images), ignores)


def _source(
    file: LabelmeFile, located: Mapping[Path, Path | None], ids: Mapping[str, int], root: Path, left_out: LeftOut
) -> tuple[str, Source]:
    image, folder = located[file.path], str(file.path.parent.relative_to(root))
    objects = partial(_objects, file, ids, left_out)
    split = split_of_folder(file.path.parent.relative_to(root))
    size = agreed_size(file.size, image, file.path)
    if image is None and file.embeds_image:
        size = size or embedded_size(file.path)
        mask = ObjectMask(file.path, size, objects, "listed")
        return folder, Source(file.path.stem, partial(embedded_image, file.path), mask, split)
    made = ObjectMask(file.path, size, objects, "listed") if size else None
    return folder, Source(image.stem if image else file.path.stem, image, made, split)


def _objects(file: LabelmeFile, ids: Mapping[str, int], left_out: LeftOut) -> Sequence[AnnotatedObject]:
    objects = []
    for shape in file.shapes:
        if shape["label"] in ids and kind_of(shape) in KINDS:
            name = f"shape {shape[PLACE]} ({shape['label']}, {kind_of(shape)})"
            try:
                objects.append(AnnotatedObject(name, ids[shape["label"]], shape_from(shape)))
            except (ValueError, TypeError, OverflowError) as error:
                left_out.add(DataError(f"{file.path}: {name} is not sound: {error}; correct or remove it"))
    return objects


def _is_damaged(file: Path) -> bool:
    """Say whether a file beside an image of its name is no JSON: what is cut short may have lost its keys."""
    if file.name.startswith(".") or not any(file.with_suffix(end).is_file() for end in sorted(IMAGE_SUFFIXES)):
        return False
    try:
        read_json(file)
    except (OSError, ValueError):
        return True
    return False


def _order(root: Path) -> list[str]:
    for name in ORDER_FILES:
        if (root / name).is_file():
            try:
                return [line.strip() for line in (root / name).read_text(encoding="utf-8-sig").splitlines()]
            except UnicodeDecodeError as error:
                raise DataError(f"{root / name} is not text: {error}; save it in UTF-8") from error
    return []


def _locate(files: Sequence[LabelmeFile], images: ImageFiles, left_out: LeftOut) -> dict[Path, Path | None]:
    """Return the image of each file, None if there is none; each image is of one file."""
    first: dict[Path, Path] = {}
    located: dict[Path, Path | None] = {}
    for file in files:
        with left_out.taking():
            image = images.find(file.image, file.path)
            if image is not None and (other := first.setdefault(image, file.path)) != file.path:
                raise DataError(f"{other} and {file.path} are both of {image}; remove one")
            located[file.path] = image
    return located


def _notes(files: Sequence[LabelmeFile], located: Mapping[Path, Path | None], images: ImageFiles) -> tuple[str, ...]:
    kinds = Counter(kind_of(shape) for file in files for shape in file.shapes)
    notes = []
    if drawn := few(f"{kinds[kind]} of {kind}" for kind in WITHOUT_AREA if kinds[kind]):
        notes.append(f"shapes without an area are painted as labelme paints them, lines 10 px wide, points 11: {drawn}")
    notes += counted({kind: count for kind, count in kinds.items() if kind not in KINDS}, "labelme paints no such")
    if embedded := [file.path.name for file in files if file.embeds_image and located[file.path] is None]:
        notes.append(f"{len(embedded)} images are no files and were taken from the JSON: {few(embedded)}")
    if bare := sorted(path.name for path in {*images.paths} - {*located.values()}):
        notes.append(f"{len(bare)} images have no JSON file and were left out, as not labelled: {few(bare)}")
    return tuple(notes)


register(
    Importer(
        name="labelme",
        summary="labelme JSON: a file of shapes for each image",
        expected="JSON files with shapes and imagePath, and the images they name or hold",
        is_root=lambda folder: any(has_keys(file, KEYS) for file in first_files(folder, ".json")),
        find=find_labelme,
        options=frozenset({"classes"}),
    )
)
