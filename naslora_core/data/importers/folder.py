"""Plain folders: one with images, one with masks of the same names, in any image format."""

from collections.abc import Iterable
from pathlib import Path

from naslora_core.data.dataset import list_images
from naslora_core.data.importers.base import IMPORTERS, Found, ImportRequest, Source
from naslora_core.data.pixels import read_mask_values
from naslora_core.errors import DataError

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
MASK_SUFFIXES = ("", "_mask", "-mask", "_masks", "_segmentation", "_gt", "_label", "_anno")


@IMPORTERS.register("folder")
def find_folder(request: ImportRequest) -> Found:
    """Pair the files of two folders by their names without extension.

    A mask may be named as its image or with an ending such as `_mask`. Without a threshold, masks that
    use the values 0 and 1 only are read as such; all others are cut at 128.

    Raises:
        DataError: if a folder is missing, ambiguous or empty, or no mask is named as an image.
    """
    images_folder = request.images or _look_for(request.folder, IMAGE_FOLDERS, "images")
    masks_folder = request.masks or _look_for(request.folder, MASK_FOLDERS, "masks")
    images, masks = _images_of(images_folder), _images_of(masks_folder)
    masks = _named_as(images, masks)
    paired = images.keys() & masks.keys()
    if not paired:
        raise DataError(
            f"no mask of {masks_folder} is named as an image of {images_folder}: images are called "
            f"{_examples(images)}, masks {_examples(masks)}. Rename one side so that they match"
        )
    names = sorted(images.keys() | masks.keys())
    return Found(
        sources=tuple(Source(name, images.get(name), masks.get(name)) for name in names),
        title=f"Images from the folder {request.folder.resolve().name}",
        class_name="object",
        mask_threshold=request.threshold or _threshold_of(masks.values()),
        licence="not stated",
        citation="not stated",
        origin="imported from plain folders",
    )


def _look_for(folder: Path, names: tuple[str, ...], kind: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder that holds {kind}/")
    present = sorted(path.name for path in folder.glob("[!.]*") if path.is_dir())
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
    largest = 0
    for path in masks:
        try:
            largest = max(largest, int(read_mask_values(path).max(initial=0)))
        except DataError:
            continue  # a broken mask is for the gate to report, together with all the others
        if largest > 1:
            return 128
    return 1 if largest == 1 else 128


def _examples(found: dict[str, Path]) -> str:
    return ", ".join(path.name for path in list(found.values())[:3])
