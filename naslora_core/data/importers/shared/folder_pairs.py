"""Pair the files of image folders with those of mask folders, and give each pair a unique name."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.importers.base import Source


@dataclass(frozen=True)
class FolderPair:
    """One folder of images and the folder of their masks, relative to the dataset; `split` is None if it is drawn."""

    split: str | None
    images: str
    masks: str


def pair_files(
    root: Path,
    folders: Iterable[FolderPair],
    mask_suffix: str = "",
    is_image: Callable[[str], bool] = lambda name: True,
) -> tuple[Source, ...]:
    """Pair the files of all folders by name; folders that are not there are passed over.

    If folders repeat names, as those that count from 0 each, their own names become part of the name. Masks without
    an image of their name in any folder come last, without an image: folder pairs may share a folder of masks.

    Args:
        root: the dataset's folder.
        folders: where to look.
        mask_suffix: what the name of a mask has more than that of its image; case does not matter.
        is_image: tells images from other pictures in their folder by their name.

    Raises:
        DataError: if two files of a folder differ in their extension only.
    """
    present = [pair for pair in folders if (root / pair.images).is_dir()]
    masks = {pair.masks: _masks(root / pair.masks, mask_suffix) for pair in present}
    found: list[tuple[FolderPair, str, Path | None, Path | None]] = []
    used: set[Path] = set()
    for pair in present:
        for name, image in list_images(root / pair.images).items():
            if is_image(name):
                mask = masks[pair.masks].get(name)
                used |= {mask} if mask else set()
                found.append((pair, name, image, mask))
    for pair in present:
        alone = {name: path for name, path in masks[pair.masks].items() if path not in used}
        found += [(pair, name, None, path) for name, path in alone.items()]
        used |= set(alone.values())
    names = unique_names([(pair.images, name) for pair, name, *_ in found])
    return tuple(
        Source(name, image, mask, pair.split) for name, (pair, _, image, mask) in zip(names, found, strict=True)
    )


def unique_names(places: Sequence[tuple[str, str]]) -> list[str]:
    """Return a unique name for each (folder, file name without extension): the file name, unless one repeats.

    Then what tells the folders apart goes before every name: `easy_1` for test/easy/images and test/hard/images.
    """
    if len({name for _, name in places}) == len(places):
        return [name for _, name in places]
    # An absolute folder has the root as its first part, which would make the name one of another place.
    folders = {folder: Path(folder.lstrip("/")).parts for folder, _ in places}
    common = set.intersection(*(set(parts) for parts in folders.values()))
    prefix = {folder: "_".join(part for part in parts if part not in common) for folder, parts in folders.items()}
    return [f"{prefix[folder]}_{name}".lstrip("_") for folder, name in places]


def _masks(folder: Path, suffix: str) -> dict[str, Path]:
    found = list_images(folder)
    ending = [name for name in found if name.lower().endswith(suffix.lower())]
    return {name[: len(name) - len(suffix)]: found[name] for name in ending}
