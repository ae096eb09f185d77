"""A dataset on disk: its pairs of image and mask, and the split of each.

On disk: <root>/dataset.yaml, splits.csv, images/<name>.<ext>, masks/<name>.<ext>; or shards/ in their place.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.card import DatasetCard, read_card
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form
from naslora_core.data.dataset.splits import complete_splits, read_splits_and_groups
from naslora_core.errors import DataError
from naslora_core.files import file_sha256

IMAGES_FOLDER, MASKS_FOLDER = "images", "masks"
SHARDS_FOLDER, SHARDS_INDEX = "shards", "index.json"
# Beside the datasets, and left out of every data version by .dvcignore.
UNPACKED_FOLDER = ".unpacked"


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

    @property
    def files(self) -> Path:
        """The folder that images/ and masks/ lie in: `root`, or the unpacked copy of a packed dataset."""
        return files_folder(self.root)

    def of_split(self, split: str) -> tuple[Pair, ...]:
        """Return the pairs of one split, sorted by name."""
        return tuple(pair for pair in self.pairs if pair.split == split)

    def relative(self, path: Path | None) -> str:
        """Return "images/<file>" or "masks/<file>", wherever the dataset is unpacked; "" for None."""
        # As text: of very many paths, asking each for its parts takes seconds.
        return "" if path is None else "/".join(os.fspath(path).rsplit(os.sep, 2)[-2:])


def read_dataset(root: Path) -> Dataset:
    """Find the pairs of a dataset without opening any image; missing partners become None.

    Raises:
        DataError: if there is no card, no image at all, a name that two files share, or splits.csv is wrong; or
            if the dataset is packed and its files are not unpacked.
    """
    card = read_card(root)
    files = files_folder(root)
    images = list_images(files / IMAGES_FOLDER)
    masks = list_images(files / MASKS_FOLDER)
    if not images:
        raise DataError(
            f"{files / IMAGES_FOLDER} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}). "
            "Import images with naslora data import"
        )
    names = sorted(images.keys() | masks.keys())
    listed, declared = read_splits_and_groups(root)
    groups = {name: card.split.group_of(name) for name in names} | declared
    splits = complete_splits(names, listed, card.split, groups)
    pairs = tuple(Pair(n, images.get(n), masks.get(n), splits[n], groups[n]) for n in names)
    return Dataset(root, card, pairs)


def files_folder(root: Path) -> Path:
    """Return the folder that holds images/ and masks/: `root` itself, or the unpacked copy of a packed dataset.

    Raises:
        DataError: if the dataset is packed, and the copy is missing or of another version.
    """
    if not is_packed(root):
        return root
    copy = root.parent / UNPACKED_FOLDER / root.name
    index = copy / SHARDS_INDEX
    if not index.is_file() or index.read_bytes() != (root / SHARDS_FOLDER / SHARDS_INDEX).read_bytes():
        raise DataError(
            f"{root} is packed in {SHARDS_FOLDER}/, and what is unpacked of it is missing or of another version; "
            f"run naslora data unpack {root.name}"
        )
    return copy


def is_packed(root: Path) -> bool:
    """Return whether the files of a dataset lie in shards/ instead of images/ and masks/."""
    return (root / SHARDS_FOLDER / SHARDS_INDEX).is_file() and not (root / IMAGES_FOLDER).is_dir()


def list_images(folder: Path) -> dict[str, Path]:
    """Map the names (stems) of the image files in `folder` to their paths; hidden files are left out.

    Names are in one Unicode form. What has the name of an image and is none, such as a folder or a dangling link, is
    listed too: opening it fails.

    Raises:
        DataError: if two files differ only in their extension or in the Unicode form of their names, or a name cannot
            be written into a table.
    """
    found: dict[str, Path] = {}
    names = list_names(folder)
    # A path that is listed is made in a third of the time of one that is joined.
    paths = {path.name: path for path in folder.iterdir()} if names else {}
    for file in names:
        if not is_image_name(file):
            continue
        if not file.isprintable():
            raise DataError(
                f"{folder} holds {file!r}, a name with a line break or letters outside UTF-8; rename the file"
            )
        if (name := one_form(file.rpartition(".")[0])) in found:
            raise DataError(
                f"{folder} holds both {found[name].name} and {file}; images and masks "
                "are paired by their name without extension, so rename or remove one"
            )
        # What has come in the meantime counts the next time, and what has gone is told by whoever opens it.
        found[name] = paths[file] if file in paths else folder / file
    return found


def list_names(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, sorted, without hidden ones; none if it is no folder.

    As text: comparing paths, and asking each for its parts, would take longer than all else that is done with them.
    """
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith("."))


def is_image_name(name: str) -> bool:
    """Return whether a file of this name, which is not hidden, counts as an image: by its suffix."""
    return f".{name.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES and "." in name


def fingerprint(dataset: Dataset, digests: Mapping[Path, str] | None = None) -> str:
    """Return a sha256 over the whole dataset: card, names, splits, groups and the bytes of every file.

    Args:
        dataset: the dataset.
        digests: what `file_digest` returned for its files, to save reading them once more.
    """
    digest = hashlib.sha256(dataset.card.model_dump_json(exclude_none=True).encode())
    known = file_digest if digests is None else digests.__getitem__
    for pair in dataset.pairs:
        image, mask = ("" if path is None else known(path) for path in (pair.image, pair.mask))
        about = f"\n{pair.name}\0{pair.split}\0{pair.group}".encode()
        digest.update(about + (bytes.fromhex(image) or b"\0") + (bytes.fromhex(mask) or b"\0"))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal; "" for what cannot be read, such as a folder or a dangling link."""
    try:
        # A named pipe would be waited for.
        return file_sha256(path) if path.is_file() else ""
    except OSError:
        return ""
