"""Datasets that come as folders of images beside folders of masks: pair the files, and give each a name of its own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.importers.base import Source


@dataclass(frozen=True)
class Part:
    """One folder of images and the folder of their masks, relative to the dataset; `split` is None if undecided."""

    split: str | None
    images: str
    masks: str


def pair_parts(
    root: Path,
    parts: Iterable[Part],
    mask_suffix: str = "",
    is_image: Callable[[str], bool] = lambda name: True,
) -> tuple[Source, ...]:
    """Pair the files of all parts by name; parts whose folders are not there are passed over.

    If parts repeat names, as those that count from 0 each, the names of the folders become part of the name. Masks
    that no image of any part is named as come last, without an image: parts may share a folder of masks.

    Args:
        root: the dataset's folder.
        parts: where to look.
        mask_suffix: what the name of a mask has more than that of its image; case does not matter.
        is_image: tells images from other pictures in their folder by their name.

    Raises:
        DataError: if two files of a folder differ in their extension only.
    """
    parts = [part for part in parts if (root / part.images).is_dir()]
    masks = {part.masks: _masks(root / part.masks, mask_suffix) for part in parts}
    found: list[tuple[Part, str, Path | None, Path | None]] = []
    used: set[Path] = set()
    for part in parts:
        for name, image in list_images(root / part.images).items():
            if is_image(name):
                mask = masks[part.masks].get(name)
                used |= {mask} if mask else set()
                found.append((part, name, image, mask))
    for part in parts:
        alone = {name: path for name, path in masks[part.masks].items() if path not in used}
        found += [(part, name, None, path) for name, path in alone.items()]
        used |= set(alone.values())
    names = unique_names([(part.images, name) for part, name, *_ in found])
    return tuple(
        Source(name, image, mask, part.split) for name, (part, _, image, mask) in zip(names, found, strict=True)
    )


def unique_names(places: Sequence[tuple[str, str]]) -> list[str]:
    """Return a name for each (folder, file name without extension): the latter, unless one of them is there twice.

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
