"""nnU-Net: dataset.json, imagesTr/x_0000.png and labelsTr/x.png.

Format: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
Nature Methods 2021, https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md. Pictures of two
dimensions only. An image in colours is one file (_0000); three files of 8-bit grey levels are taken as red, green and
blue. A label called "ignore" marks what nobody labelled. Images of imagesTs come in if labelsTs holds their masks.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.dataset.card import BACKGROUND, LARGEST_VALUE
from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES, load_picture
from naslora_core.data.dataset.splits import TEST, TRAIN
from naslora_core.data.importers.base import (
    MASK_OPTIONS,
    Found,
    Importer,
    ImportRequest,
    Pixels,
    Source,
    holds,
    register,
)
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.legends.legend import NOT_LABELLED, Legend
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.shared.object_formats import build_found
from naslora_core.errors import DataError
from naslora_core.reading import read_object

JSON_FILE, IGNORE = "dataset.json", "ignore"
PARTS = (("imagesTr", "labelsTr", None), ("imagesTs", "labelsTs", TEST))
_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Channels:
    """An image whose red, green and blue are files of 8-bit grey levels."""

    files: tuple[Path, Path, Path]

    def __call__(self) -> np.ndarray:
        """Return (H, W, 3) uint8.

        Raises:
            DataError: if a file cannot be read or is of another kind or size than the others.
        """
        bands: list[np.ndarray] = []
        for file in self.files:
            picture = load_picture(file)
            if picture.mode != "L" or (bands and bands[0].shape != picture.size[::-1]):
                raise DataError(
                    f"{file} is of mode {picture.mode} and {picture.size[0]}x{picture.size[1]} px; the three channels "
                    "of an image must be grey, of 8 bits and one size. Convert them"
                )
            bands.append(np.asarray(picture))
        return np.stack(bands, axis=-1)


def find_nnunet(request: ImportRequest) -> Found:
    """Read dataset.json, and pair the images and labels of training and testing.

    Raises:
        DataError: if dataset.json cannot be read, the files are volumes, or labels overlap.
        ConfigError: if a class is asked for that dataset.json does not name.
    """
    root = request.folder
    legend = _read_labels(root / JSON_FILE)
    sources: list[Source] = []
    unlabelled = 0
    for images_folder, labels_folder, split in PARTS:
        images = _images_of(root / images_folder, request.left_out)
        labels = list_images(root / labels_folder)
        if split == TEST and not labels:
            unlabelled = len(images)
            continue
        sources += [Source(name, images.get(name), labels.get(name), split) for name in sorted({*images, *labels})]
    if split_sources := [source for source in sources if source.split]:
        # Folds are drawn by nnU-Net itself; here training images are those that are not for testing.
        sources = [source if source.split else replace(source, split=TRAIN) for source in sources]
        names = [source.name for source in sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"{root}: '{twice[0]}' is for training and for testing; rename one")
    notes = [f"{unlabelled} images of imagesTs have no labels and were left out"] if unlabelled else []
    notes += [f"{len(split_sources)} images of imagesTs are for testing"] if split_sources else []
    found = build_found(root, sources, (), "the layout of nnU-Net", tuple(notes))
    return with_reading(found, read_masks(sources, request, legend))


def _read_labels(file: Path) -> Legend:
    try:
        content: dict[str, Any] = read_object(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as JSON in UTF-8: {error}; write it again") from error
    ending = str(content.get("file_ending") or ".png")
    if ending.lower() not in IMAGE_SUFFIXES:
        raise DataError(
            f"{file}: the images are {ending[:20]} files, which are volumes; here images have two dimensions. Save "
            "their slices as PNG or TIFF, for example with nibabel or SimpleITK, and set file_ending"
        )
    labels = content.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise DataError(f'{file} has no labels; expected "labels": {{"background": 0, "cell": 1}}')
    if all(name.isdecimal() for name in labels):
        # nnU-Net 1 wrote names by value.
        labels = {str(name): int(value) for value, name in labels.items()}
    if regions := [name for name, value in labels.items() if isinstance(value, list)]:
        raise DataError(
            f"{file}: '{regions[0]}' is a region of several labels, and regions overlap, but a pixel has one class; "
            "list every label under a name of its own"
        )
    if wrong := [name for name, value in labels.items() if type(value) is not int or not 0 <= value <= LARGEST_VALUE]:
        raise DataError(
            f"{file}: label '{wrong[0]}' is {labels[wrong[0]]!r}, expected a number from 0 to {LARGEST_VALUE}"
        )
    if len(set(labels.values())) < len(labels):
        raise DataError(f"{file}: two labels have one value; give each its own")
    names = {value: NOT_LABELLED if name == IGNORE else name if value else BACKGROUND for name, value in labels.items()}
    return Legend(str(file), dict(sorted(names.items())))


def _images_of(folder: Path, left_out: LeftOut) -> dict[str, Pixels]:
    channels: dict[str, dict[int, Path]] = {}
    for name, path in list_images(folder).items():
        if not (found := _CHANNEL.fullmatch(name)):
            left_out.add(
                DataError(f"{path} has no number of a channel; nnU-Net calls the first {name}_0000{path.suffix}")
            )
            continue
        channels.setdefault(found[1], {})[int(found[2])] = path
    images: dict[str, Pixels] = {}
    for name, files in channels.items():
        if sorted(files) == [0]:
            images[name] = files[0]
        elif sorted(files) == [0, 1, 2]:
            images[name] = Channels((files[0], files[1], files[2]))
        else:
            numbers = ", ".join(f"{number:04d}" for number in sorted(files)[:5])
            left_out.add(
                DataError(
                    f"{folder}: '{name}' has the channels {numbers}; "
                    "expected 0000 alone, or 0000 to 0002 as red, green and blue. Keep or merge three of them"
                )
            )
    return images


register(
    Importer(
        name="nnunet",
        summary="nnU-Net: dataset.json, imagesTr and labelsTr, of PNG, TIFF or BMP files",
        expected=f"{JSON_FILE}, imagesTr/<name>_0000.png and labelsTr/<name>.png",
        is_root=holds(JSON_FILE, "imagesTr", "labelsTr"),
        find=find_nnunet,
        options=MASK_OPTIONS,
    )
)
