"""CVAT's "Segmentation mask 1.1": PASCAL VOC's folders, with colours of classes that labelmap.txt lists.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-smask/; Datumaro writes the same. The colours of
SegmentationClass are decoded as labelmap.txt says, and SegmentationObject is not read. An image that a list names and
that has no mask file shows no object: the tools write none for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import MASK_OPTIONS, Found, Importer, ImportRequest, Source, holds, register
from naslora_core.data.importers.drawn.readers.images import named_apart
from naslora_core.data.importers.legends.files import read_labelmap
from naslora_core.data.importers.painting.objects import ObjectMask
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.shared.image_files import upright_size
from naslora_core.data.importers.shared.object_formats import build_found, split_from_path
from naslora_core.errors import DataError, few

IMAGES, MASKS, LISTS, LABELS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "labelmap.txt"


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
    legend = read_labelmap(root / LABELS)
    images, masks = _files(root / IMAGES), _files(root / MASKS)
    listed = _listed(root, images, masks)
    if not listed:
        raise DataError(f"{root / LISTS} lists no image, and {root / MASKS} has none; export with masks")
    sources = [(str(Path(one.name).parent), _source(one, images, masks, root)) for one in listed]
    named = named_apart(sources)
    pairs = build_found(root, named, (), "CVAT segmentation masks", _notes(listed, images, masks))
    return with_reading(pairs, read_masks(named, request, legend))


def _files(folder: Path) -> dict[str, Path]:
    """Return image files by their path in a folder, without the extension."""
    return {
        one_form(path.relative_to(folder).with_suffix("").as_posix()): path
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
        for name in map(one_form, filter(None, names)):
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
        options=MASK_OPTIONS,
    )
)
