"""Find the differences between two versions of a dataset by file names and content hashes, without opening an image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from naslora_core.data.curation.quarantine_record import QUARANTINE_FOLDER
from naslora_core.data.dataset.card import CARD_FILE, read_card
from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, SHARDS_FOLDER, SHARDS_INDEX
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.splits import SPLITS_FILE, complete_splits, read_groups, read_splits
from naslora_core.data.prepared.shards import read_index

TEXT_FILES = (CARD_FILE, SPLITS_FILE, f"{SHARDS_FOLDER}/{SHARDS_INDEX}")


@dataclass(frozen=True)
class Version:
    """One version of a dataset: content hashes of its files, its splits and its card.

    Attributes:
        label: what to call it, such as a git revision.
        images: content hash by name; masks alike.
        quarantined: names of images in quarantine.
        splits: by name, of all images; groups alike.
        card: its fields, nested ones as "split.seed".
    """

    label: str
    images: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, str] = field(default_factory=dict)
    quarantined: frozenset[str] = frozenset()
    splits: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What differs from one version to another; names are sorted.

    Attributes:
        images, masks: names by "added", "removed" and "changed"; what went into quarantine is not "removed".
        quarantined, restored: images that went into quarantine or came back from it.
        moved: images in both versions, with the split they were in and the one they are in.
        card: fields of the card, with the values before and after; None where there was none.
    """

    before: str
    after: str
    pairs: tuple[int, int]
    images: dict[str, list[str]]
    masks: dict[str, list[str]]
    quarantined: list[str]
    restored: list[str]
    moved: dict[str, tuple[str, str]]
    card: dict[str, tuple[Any, Any]]

    @property
    def any(self) -> bool:
        """Whether there is any difference."""
        named = [*self.images.values(), *self.masks.values(), self.quarantined, self.restored]
        return any(map(bool, named)) or bool(self.moved or self.card)


def read_version(label: str, files: Mapping[str, str], folder: Path) -> Version:
    """Return a version of a dataset from the hashes of its files and its text files.

    Args:
        label: what to call it.
        files: content hash of every file, by its path below the dataset's folder, with slashes.
        folder: where `TEXT_FILES` of this version lie, as far as it has them; nothing else is read.

    Raises:
        DataError: if the card is missing or wrong, or splits.csv is.
    """
    card = read_card(folder)
    index = folder / SHARDS_FOLDER / SHARDS_INDEX
    if index.is_file():
        files = {**files, **read_index(index).files_md5}
    images = _of_folder(files, IMAGES_FOLDER)
    names = sorted(images.keys() | _of_folder(files, MASKS_FOLDER).keys())
    groups = {name: card.split.group_of(name) for name in names} | read_groups(folder)
    return Version(
        label=label,
        images=images,
        masks=_of_folder(files, MASKS_FOLDER),
        quarantined=frozenset(_of_folder(files, f"{QUARANTINE_FOLDER}/{IMAGES_FOLDER}")),
        splits=complete_splits(names, read_splits(folder), card.split, groups),
        groups=groups,
        card=_flatten(card.model_dump(mode="json", exclude_none=True)),
    )


def find_changes(before: Version, after: Version) -> Changes:
    """Return the differences from the first version to the second."""
    aside, back = after.quarantined - before.quarantined, before.quarantined - after.quarantined
    images, masks = _differences(before.images, after.images), _differences(before.masks, after.masks)
    quarantined = sorted(aside & set(images["removed"]))
    restored = sorted(back & set(images["added"]))
    for differences in (images, masks):
        differences["removed"] = [name for name in differences["removed"] if name not in quarantined]
        differences["added"] = [name for name in differences["added"] if name not in restored]
    both = sorted(before.splits.keys() & after.splits.keys())
    fields = sorted(before.card.keys() | after.card.keys())
    return Changes(
        before=before.label,
        after=after.label,
        pairs=(len(before.splits), len(after.splits)),
        images=images,
        masks=masks,
        quarantined=quarantined,
        restored=restored,
        moved={n: (before.splits[n], after.splits[n]) for n in both if before.splits[n] != after.splits[n]},
        card={f: (before.card.get(f), after.card.get(f)) for f in fields if before.card.get(f) != after.card.get(f)},
    )


def _of_folder(files: Mapping[str, str], folder: str) -> dict[str, str]:
    paths = {PurePosixPath(path): content for path, content in files.items()}
    return {
        path.stem: content
        for path, content in sorted(paths.items())
        if str(path.parent) == folder and path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    }


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
    }


def _flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
