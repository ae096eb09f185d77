"""Shared by formats that list objects: choose classes, read splits from paths, build the result."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID, MOST_CLASSES
from naslora_core.data.dataset.splits import TEST, TRAIN, VALIDATION
from naslora_core.data.importers.base import Found, Source
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.errors import ConfigError, DataError, few

SPLIT_WORDS = {"train": TRAIN, "training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
               "test": TEST, "testing": TEST}  # fmt: skip


def choose_classes(wanted: Mapping[str, tuple[object, ...]], known: Sequence[str]) -> tuple[str, ...]:
    """Return the classes to keep, in the order of `known`: those wanted, or all; objects of others are background.

    Raises:
        ConfigError: if a wanted one is not known, or is given values.
        DataError: if there is none, or more than a mask can hold.
    """
    # Objects of a class with the name of the background count as background.
    known = [name for name in dict.fromkeys(known) if name != BACKGROUND]
    if wrong := [name for name in wanted if name not in known]:
        raise ConfigError(f"--class {wrong[0]} is not in the data, which has {few(known, 20)}")
    if valued := [name for name, values in wanted.items() if values]:
        raise ConfigError(f"--class {valued[0]}=… does not fit: the data numbers its classes; give --class {valued[0]}")
    classes = tuple(name for name in known if not wanted or name in wanted)
    if not 0 < len(classes) <= MOST_CLASSES:
        raise DataError(f"found {len(classes)} classes with objects; expected 1 to {MOST_CLASSES}: choose with --class")
    return classes


def once_each(sources: Sequence[tuple[str, Source]], left_out: LeftOut) -> list[tuple[str, Source]]:
    """Return the sources, with the folders they come with, each image once.

    Raises:
        DataError: if an image is annotated more than once; with a `left_out` that takes errors the first one stays.
    """
    times = Counter(source.image for _, source in sources if isinstance(source.image, Path))
    if (twice := [image for image, count in times.items() if count > 1]) and not left_out.skip:
        raise DataError(
            f"{len(twice)} images are annotated more than once: {few(twice)}; keep one annotation of each, or give "
            "images of one name folders as the annotations name them"
        )
    seen: set[Path] = set()
    kept = []
    for folder, source in sources:
        if isinstance(source.image, Path) and source.image in seen:
            left_out.add(DataError(f"{source.image} is annotated more than once; the first annotation stays"))
            continue
        seen |= {source.image} if isinstance(source.image, Path) else set()
        kept.append((folder, source))
    return kept


def split_from_path(path: Path) -> str | None:
    """Return the split named in a file's name, or else in one of its folders; None if there is none or several.

    Digits do not matter: instances_train2017.json is for training.
    """
    for part in reversed(path.with_suffix("").parts):
        words = "".join(letter if letter.isalpha() else " " for letter in part.lower()).split()
        if splits := {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}:
            return splits.pop() if len(splits) == 1 else None
    return None


def build_found(
    root: Path,
    sources: Sequence[Source],
    classes: tuple[str, ...],
    form: str,
    notes: tuple[str, ...],
    ignores: bool = False,
) -> Found:
    """Return the `Found` of a dataset whose masks are painted from objects.

    Args:
        root: its folder, which gives the title.
        sources: its pairs.
        classes: in the order of their ids.
        form: names its format.
        notes: what was left out or decided.
        ignores: whether masks may hold IGNORED_ID.
    """
    return Found(
        sources=tuple(sources),
        title=f"Images from the folder {root.resolve().name}",
        classes=classes,
        mask_values={name: (number,) for number, name in enumerate(classes, start=1)},
        mask_ignore=(IGNORED_ID,) if ignores else None,
        licence="not stated",
        citation="not stated",
        origin=f"imported from {form}",
        notes=notes,
    )
