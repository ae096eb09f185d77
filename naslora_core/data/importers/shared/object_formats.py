"""What the formats that list objects share: which classes are wanted, what split a path tells, and the result."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.splits import TEST, TRAIN, VALIDATION
from naslora_core.data.importers.base import Found, Source
from naslora_core.data.importers.shared.rasterise import MOST_CLASSES
from naslora_core.errors import ConfigError, DataError

SPLIT_WORDS = {"train": TRAIN, "training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
               "test": TEST, "testing": TEST}  # fmt: skip


def choose_classes(wanted: Mapping[str, tuple[object, ...]], known: Sequence[str]) -> tuple[str, ...]:
    """Return the classes to keep, in the order of `known`: those wanted, or all; objects of others are background.

    Raises:
        ConfigError: if a wanted one is not known, or is given values.
        DataError: if there is none, or more than a mask can hold.
    """
    # A class of that name would say of its objects that they are none.
    known = [name for name in dict.fromkeys(known) if name != BACKGROUND]
    if wrong := [name for name in wanted if name not in known]:
        raise ConfigError(f"--class {wrong[0]} is not in the data, which has {', '.join(known)}")
    if valued := [name for name, values in wanted.items() if values]:
        raise ConfigError(f"--class {valued[0]}=… does not fit: the data numbers its classes; give --class {valued[0]}")
    classes = tuple(name for name in known if not wanted or name in wanted)
    if not 0 < len(classes) <= MOST_CLASSES:
        raise DataError(f"found {len(classes)} classes with objects; expected 1 to {MOST_CLASSES}: choose with --class")
    return classes


def split_in_words(path: Path) -> str | None:
    """Return the split that the words of a file's name tell, or else those of its folders; None if they tell none.

    Digits do not matter: instances_train2017.json is for training.
    """
    for part in reversed(path.with_suffix("").parts):
        words = "".join(letter if letter.isalpha() else " " for letter in part.lower()).split()
        if splits := {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}:
            return splits.pop() if len(splits) == 1 else None
    return None


def found_objects(
    root: Path, sources: Sequence[Source], classes: tuple[str, ...], form: str, notes: tuple[str, ...]
) -> Found:
    """Return what was found in a dataset whose masks we paint."""
    return Found(
        sources=tuple(sources),
        title=f"Images from the folder {root.resolve().name}",
        classes=classes,
        mask_values={name: (number,) for number, name in enumerate(classes, start=1)},
        licence="not stated",
        citation="not stated",
        origin=f"imported from {form}",
        notes=notes,
    )
