"""A dataset on disk: which image belongs to which mask, and who trains on it.

On disk: <root>/dataset.yaml, splits.csv, images/<name>.<ext>, masks/<name>.<ext>.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.card import CARD_FILE, DatasetCard, SplitRule, read_card
from naslora_core.data.pixels import IMAGE_SUFFIXES, read_image, read_mask
from naslora_core.data.splits import SPLITS_FILE, assign_splits, read_groups, read_splits
from naslora_core.errors import DataError

__all__ = [
    "CARD_FILE",
    "SPLITS_FILE",
    "Dataset",
    "DatasetCard",
    "Pair",
    "SplitRule",
    "fingerprint",
    "list_images",
    "read_dataset",
    "read_image",
    "read_mask",
]

IMAGES_FOLDER, MASKS_FOLDER = "images", "masks"


@dataclass(frozen=True)
class Pair:
    """An image and its mask; None where the partner is missing.

    Images of one `group`, a patient's or a video's, are alike; by default each is a group of its own.
    """

    name: str
    image: Path | None
    mask: Path | None
    split: str
    group: str = ""

    def __post_init__(self) -> None:
        if not self.group:
            object.__setattr__(self, "group", self.name)


@dataclass(frozen=True)
class Dataset:
    """All pairs of one domain, sorted by name."""

    root: Path
    card: DatasetCard
    pairs: tuple[Pair, ...]

    def of_split(self, split: str) -> tuple[Pair, ...]:
        """Return the pairs of one split, sorted by name."""
        return tuple(pair for pair in self.pairs if pair.split == split)

    def relative(self, path: Path | None) -> str:
        """Return a path as seen from the dataset's folder, with slashes; "" for None."""
        return "" if path is None else path.relative_to(self.root).as_posix()


def read_dataset(root: Path) -> Dataset:
    """Find the pairs of a dataset without opening any image; missing partners become None.

    Raises:
        DataError: if there is no card, no image at all, a name that two files share, or splits.csv is wrong.
    """
    card = read_card(root)
    images = list_images(root / IMAGES_FOLDER)
    masks = list_images(root / MASKS_FOLDER)
    if not images:
        raise DataError(
            f"{root / IMAGES_FOLDER} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}). "
            "Bring images in with naslora data import"
        )
    names = sorted(images.keys() | masks.keys())
    splits = assign_splits(names, read_splits(root), card.split)
    groups = read_groups(root)
    pairs = tuple(Pair(n, images.get(n), masks.get(n), splits[n], groups.get(n, "")) for n in names)
    return Dataset(root, card, pairs)


def list_images(folder: Path) -> dict[str, Path]:
    """Map the names (stems) of the image files in `folder` to their paths; hidden files are left out.

    Raises:
        DataError: if two files differ in their extension only.
    """
    found: dict[str, Path] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            raise DataError(
                f"{folder} holds both {found[path.stem].name} and {path.name}; images and masks "
                "are paired by their name without extension, so rename or remove one"
            )
        found[path.stem] = path
    return found


def fingerprint(dataset: Dataset) -> str:
    """Return a sha256 of all that makes the dataset: card, names, splits, groups and the bytes of every file."""
    digest = hashlib.sha256(dataset.card.model_dump_json().encode())
    for pair in dataset.pairs:
        digest.update(f"\n{pair.name}\0{pair.split}\0{pair.group}".encode())
        for path in (pair.image, pair.mask):
            digest.update(b"\0" if path is None else hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
