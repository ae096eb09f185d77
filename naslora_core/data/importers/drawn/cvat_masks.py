"""CVAT's "Segmentation mask 1.1": PASCAL VOC's folders, with colours of classes that labelmap.txt lists.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-smask/; Datumaro writes the same. The colours of
SegmentationClass are decoded as labelmap.txt says, and SegmentationObject is not read. An image that a list names and
that has no mask file shows no object: the tools write none for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, holds, register
from naslora_core.data.importers.drawn.readers.images import named_apart
from naslora_core.data.importers.painting.objects import ObjectMask
from naslora_core.data.importers.shared.image_files import upright_size
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes, split_from_path
from naslora_core.errors import ConfigError, DataError, few

IMAGES, MASKS, LISTS, LABELS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "labelmap.txt"
_BLACK = "#000000"
# Datumaro's name for the border of PASCAL VOC, which nobody labelled.
IGNORED = "ignored"


@dataclass(frozen=True)
class _Listed:
    name: str
    split: str | None


def find_cvat_masks(request: ImportRequest) -> Found:
    """Read labelmap.txt and the lists, and pair images with masks.

    Raises:
        DataError: if labelmap.txt is not sound, or there is nothing listed.
        ConfigError: if a class is asked for that it does not name.
    """
    root = request.folder
    colours = read_labelmap(root / LABELS)
    classes = choose_classes({name: () for name in request.classes}, [name for name in colours if name != IGNORED])
    if valued := [name for name, values in request.classes.items() if values]:
        raise ConfigError(f"--class {valued[0]}=… does not fit: {LABELS} has the colours; give --class {valued[0]}")
    images, masks = _files(root / IMAGES), _files(root / MASKS)
    listed = _listed(root, images, masks)
    if not listed:
        raise DataError(f"{root / LISTS} lists no image, and {root / MASKS} has none; export with masks")
    sources = [(str(Path(one.name).parent), _source(one, images, masks, root)) for one in listed]
    chosen = {name: (colours[name],) for name in classes}
    others = [colour for name, colour in colours.items() if name not in (*classes, IGNORED)]
    notes = _notes(listed, images, masks)
    found = build_found(root, named_apart(sources), classes, "CVAT segmentation masks", notes)
    return replace(
        found,
        mask_values={**chosen, BACKGROUND: tuple(dict.fromkeys((_BLACK, *others)))},
        mask_ignore=(colours[IGNORED],) if IGNORED in colours else None,
    )


def read_labelmap(path: Path) -> dict[str, str]:
    """Return the colours "#rrggbb" by label, in the order listed; if no line has one, those of PASCAL VOC's palette.

    Raises:
        DataError: if a line is not `label:r,g,b:parts:actions`, or two labels have one name or colour.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}; export it again") from error
    labels = [
        _label(line, f"{path} line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not any(colour for _, colour in labels):
        labels = [(name, voc_colour(number)) for number, (name, _) in enumerate(labels)]
    colours: dict[str, str] = {}
    for name, colour in labels:
        if not colour:
            raise DataError(f"{path}: '{name}' has no colour, but others have; give it the one that the masks show")
        if name in colours or colour in colours.values():
            raise DataError(f"{path}: two lines have the label '{name}' or its colour {colour}; change one")
        if colour == _BLACK and name != BACKGROUND:
            raise DataError(f"{path}: '{name}' is black, as the background; give it another colour")
        colours[name] = colour
    return colours


def voc_colour(number: int) -> str:
    """Return colour `number` of the palette of PASCAL VOC: the bits of the number, in threes, from the top of r, g, b.

    Source: Everingham et al., the VOC development kit, VOCcode/VOClabelcolormap.m.
    """
    channels = [sum((number >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)]
    return "#" + "".join(f"{value:02x}" for value in channels)


def _label(line: str, place: str) -> tuple[str, str]:
    # A label may have colons of its own.
    parts = line.strip().rsplit(":", 3)
    if len(parts) == 4 and parts[0] and not parts[1].strip():
        return parts[0], ""
    numbers = parts[1].split(",") if len(parts) == 4 else []
    if not parts[0] or len(numbers) != 3 or not all(n.strip().isdecimal() and int(n) < 256 for n in numbers):
        raise DataError(f"{place} is '{line.strip()[:60]}', expected label:red,green,blue:parts:actions")
    return parts[0], "#" + "".join(f"{int(number):02x}" for number in numbers)


def _files(folder: Path) -> dict[str, Path]:
    """Return image files by their path in a folder, without the extension."""
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("[!.]*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    }


def _listed(root: Path, images: Mapping[str, Path], masks: Mapping[str, Path]) -> list[_Listed]:
    splits: dict[str, str | None] = {}
    for file in sorted((root / LISTS).glob("*.txt")):
        try:
            names = [line.strip().replace("\\", "/") for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except UnicodeDecodeError as error:
            raise DataError(f"{file} is not text: {error}; export it again") from error
        for name in filter(None, names):
            splits[name] = splits.get(name) or split_from_path(Path(file.name))
    if not splits:
        splits = dict.fromkeys(sorted(images.keys() & masks.keys()))
    return [_Listed(name, split) for name, split in splits.items()]


def _source(one: _Listed, images: Mapping[str, Path], masks: Mapping[str, Path], root: Path) -> Source:
    image, mask = images.get(one.name), masks.get(one.name)
    if mask is None and image is not None:
        return Source(image.stem, image, ObjectMask(root / LABELS, upright_size(image), tuple, "listed"), one.split)
    return Source(Path(one.name).name if image is None else image.stem, image, mask, one.split)


def _notes(listed: Sequence[_Listed], images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[str, ...]:
    notes = []
    if empty := [one.name for one in listed if one.name in images and one.name not in masks]:
        notes.append(f"{len(empty)} listed images have no mask file and count as showing no object: {few(empty)}")
    names = {one.name for one in listed}
    if bare := sorted((images.keys() | masks.keys()) - names):
        notes.append(f"{len(bare)} files are in no list and were left out: {few(bare)}")
    return tuple(notes)


register(
    Importer(
        name="cvat_masks",
        summary="CVAT's Segmentation mask 1.1: VOC's folders and labelmap.txt",
        expected=f"{LABELS}, {IMAGES}/, {MASKS}/ and {LISTS}/<list>.txt",
        is_root=holds(LABELS, MASKS),
        find=find_cvat_masks,
        options=frozenset({"classes"}),
    )
)
