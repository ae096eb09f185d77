"""Find the folders of images and masks of each split: train/images and train/masks, or images/train and masks/train."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from naslora_core.data.importers.base import subfolders
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS


class SplitFolders(NamedTuple):
    """One split, and where its images and masks lie."""

    split: str
    images: Path
    masks: Path


def find_split_folders(
    root: Path, image_names: Collection[str], mask_names: Collection[str]
) -> tuple[SplitFolders, ...]:
    """Return the folders of each split; nothing where the folders of `root` are named otherwise, or ambiguously.

    Args:
        root: the folder of the data set.
        image_names: what folders of images are called.
        mask_names: what folders of masks are called.
    """
    inside = [
        SplitFolders(split, images, masks)
        for split, folder in _splits(root).items()
        if (images := _only(folder, image_names)) and (masks := _only(folder, mask_names))
    ]
    if inside:
        return tuple(inside)
    images_of, masks_of = _only(root, image_names), _only(root, mask_names)
    if images_of is None or masks_of is None:
        return ()
    of_images, of_masks = _splits(images_of), _splits(masks_of)
    return tuple(SplitFolders(split, of_images[split], of_masks[split]) for split in of_images if split in of_masks)


def _splits(folder: Path) -> dict[str, Path]:
    """Return the folders that are called as a split; nothing if two are of one, as val and validation."""
    found = [(SPLIT_WORDS[path.name.lower()], path) for path in subfolders(folder) if path.name.lower() in SPLIT_WORDS]
    return dict(found) if len(dict(found)) == len(found) else {}


def _only(folder: Path, names: Collection[str]) -> Path | None:
    found = [path for path in subfolders(folder) if path.name in names]
    return found[0] if len(found) == 1 else None
