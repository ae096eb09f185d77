"""Plain folders: images and masks of the same names in two folders, or any files that a CSV file pairs."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.pixels import read_mask_values
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.shared.pairs_file import read_pairs
from naslora_core.errors import ConfigError, DataError

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "original_images", "photos", "JPEGImages")
MASK_FOLDERS = (
    "masks",
    "mask",
    "binary_mask",
    "binary_masks",
    "labels",
    "label",
    "annotations",
    "ground_truth",
    "gt",
    "GT",
    "SegmentationClass",
)
HALF = 128
MASK_SUFFIXES = ("", "_mask", "-mask", "_masks", "_segmentation", "_gt", "_label", "_anno")


def find_folder(request: ImportRequest) -> Found:
    """Pair the files of two folders by their names without extension, or as a CSV file says.

    A mask may be named as its image or with an ending such as `_mask`. Without a threshold or values of classes,
    masks that use the values 0 and 1 only are read as such; all others are cut at 128.

    Raises:
        DataError: if a folder is missing, ambiguous or empty, no mask is named as an image, a CSV file is wrong, or
            the values of the masks need to be explained.
        ConfigError: if only some classes are given values, or values and a threshold.
    """
    sources = read_pairs(request.pairs, request.folder) if request.pairs else _pair_folders(request)
    values = _values(request)
    masks = [source.mask for source in sources if isinstance(source.mask, Path)]
    threshold = None if values else request.threshold or _threshold_of(masks)
    classes = tuple(name for name in request.classes if name != BACKGROUND)
    return Found(
        sources=sources,
        title=f"Images from the folder {request.folder.resolve().name}",
        classes=classes or ("object",),
        mask_threshold=threshold,
        mask_values=values,
        licence="not stated",
        citation="not stated",
        origin="imported from plain folders",
    )


def _pair_folders(request: ImportRequest) -> tuple[Source, ...]:
    images_folder = request.images or _look_for(request.folder, IMAGE_FOLDERS, "images")
    masks_folder = request.masks or _look_for(request.folder, MASK_FOLDERS, "masks")
    images, masks = _images_of(images_folder), _images_of(masks_folder)
    masks = _named_as(images, masks)
    paired = images.keys() & masks.keys()
    if not paired:
        raise DataError(
            f"no mask of {masks_folder} is named as an image of {images_folder}: images are called "
            f"{_examples(images)}, masks {_examples(masks)}. Rename one side so that they match, or list the pairs: "
            "--pairs FILE.csv"
        )
    names = sorted(images.keys() | masks.keys())
    return tuple(Source(name, images.get(name), masks.get(name)) for name in names)


def _values(request: ImportRequest) -> dict[str, tuple[int, ...] | tuple[str, ...]] | None:
    given = {name: values for name, values in request.classes.items() if values}
    if not given and len(request.classes) <= 1:
        return None
    if without := [name for name in request.classes if name not in given]:
        raise ConfigError(f"--class {without[0]} needs the value that means it in a mask: --class {without[0]}=1")
    if request.threshold:
        raise ConfigError("--threshold cuts grey levels, --class NAME=VALUE reads values; give one of them")
    return given


def _look_for(folder: Path, names: tuple[str, ...], kind: str) -> Path:
    present = [path.name for path in subfolders(folder)]
    matches = [name for name in names if name in present]
    if len(matches) != 1:
        several = f"several folders that could hold {kind}: {', '.join(matches)}"
        problem = several if matches else f"no {kind} folder"
        raise DataError(
            f"{folder} has {problem}; it holds: {', '.join(present) or 'no folder'}. "
            f"Name it with --{kind} (found by themselves: {', '.join(names)})"
        )
    return folder / matches[0]


def _images_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; check the path")
    if not (found := list_images(folder)):
        inside = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))[:5]
        raise DataError(f"{folder} holds no image file; it holds: {', '.join(inside) or 'nothing'}")
    return found


def _named_as(images: dict[str, Path], masks: dict[str, Path]) -> dict[str, Path]:
    candidates = []
    for suffix in MASK_SUFFIXES:
        renamed = {name.removesuffix(suffix): path for name, path in masks.items()}
        # An ending that makes two masks share a name is not what tells masks from images here.
        if len(renamed) == len(masks):
            candidates.append((len(renamed.keys() & images.keys()), renamed))
    return max(candidates, key=lambda candidate: candidate[0])[1]


def _threshold_of(masks: Iterable[Path]) -> int:
    seen: set[int] = set()
    for path in masks:
        try:
            seen |= {int(value) for value in np.unique(read_mask_values(path))}
        except DataError:
            continue  # a broken mask is for the gate to report, together with all the others
        if max(seen) >= HALF:
            return HALF
    if seen <= {0, 1}:
        return 1 if 1 in seen else HALF
    values = ", ".join(map(str, sorted(seen)[:8]))
    raise DataError(
        f"the masks have the values {values}{', …' if len(seen) > 8 else ''} only; say what they mean: --class a=1 "
        "--class b=2, or --threshold 1 if all of them are the same object"
    )


def _examples(found: dict[str, Path]) -> str:
    return ", ".join(path.name for path in list(found.values())[:3])


def _is_root(folder: Path) -> bool:
    names = {path.name for path in subfolders(folder)}
    return bool(names.intersection(IMAGE_FOLDERS)) and bool(names.intersection(MASK_FOLDERS))


register(
    Importer(
        name="folder",
        summary="plain folders of images and masks, or a list of pairs (--pairs)",
        expected="images/ and masks/",
        is_root=_is_root,
        find=find_folder,
        options=frozenset({"images", "masks", "pairs", "threshold", "classes"}),
        explains=True,
    )
)
