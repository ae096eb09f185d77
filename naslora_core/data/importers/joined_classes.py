"""Join the classes of a dataset with those of data that is added to it, by name."""

import difflib

from naslora_core.data.dataset.card import MOST_CLASSES, DatasetCard
from naslora_core.errors import DataError, few


def joined_card(card: DatasetCard, own: DatasetCard) -> tuple[DatasetCard, tuple[str, ...]]:
    """Return the card that holds the classes of both, and the names that are new.

    Args:
        card: of the dataset; its classes and values stay as they are.
        own: of what is added; only the names of its classes, and whether it has pixels nobody labelled, matter.

    Raises:
        DataError: if the masks of the dataset hold one class and the new ones another, or there are too many.
    """
    added = tuple(name for name in own.classes if name not in card.classes)
    if added and card.reading not in ("values", "colours"):
        raise DataError(
            f"{card.name} has masks of one class, '{card.classes[0]}', and the new data has {few(own.classes)}. "
            + _choices(card, own)
        )
    if len(card.classes) + len(added) > MOST_CLASSES:
        raise DataError(f"{card.name} would have {len(card.classes) + len(added)} classes; at most {MOST_CLASSES} fit")
    values, used = dict(card.mask_values or {}), _used(card)
    for name in added:
        values[name] = (_free(used, card.reading == "colours"),)  # type: ignore[assignment]
        used.add(values[name][0])
    fields: dict[str, object] = {"classes": (*card.classes, *added), "mask_values": values or None}
    if own.mask_ignore and not card.mask_ignore and card.reading in ("values", "colours"):
        fields["mask_ignore"] = (_free_ignore(used, card.reading == "colours"),)
    joined = DatasetCard.model_validate(card.model_dump() | fields)
    return joined, added


def _choices(card: DatasetCard, own: DatasetCard) -> str:
    only = card.classes[0]
    if only in own.classes:
        return f"Bring in that class alone: --class {only}; or import both anew with values, --class {only}=1 …"
    if len(own.classes) == 1:
        close = difflib.get_close_matches(own.classes[0], card.classes, n=1, cutoff=0.0)[0]
        return f"If it is the same object, say so: --class {close}; if not, give it a domain of its own: --name"
    return "Give it a domain of its own: --name; or import both anew with a value for each class, --class NAME=1 …"


def _used(card: DatasetCard) -> set[int | str]:
    listed = [value for values in (card.mask_values or {}).values() for value in values]
    return {*listed, *(card.mask_ignore or ()), 0, "#000000"}


def _free(used: set[int | str], colours: bool) -> int | str:
    if not colours:
        return next(value for value in range(1, 1 << 16) if value not in used)
    # Colours far from each other: 85 and 170 are a third and two thirds of what a channel holds.
    levels = (255, 170, 85, 0)
    every = (f"#{red:02x}{green:02x}{blue:02x}" for red in levels for green in levels for blue in levels)
    numbered = (f"#{number:06x}" for number in range(1, 1 << 24))
    return next(value for some in (every, numbered) for value in some if value not in used)


def _free_ignore(used: set[int | str], colours: bool) -> int | str:
    return 255 if not colours and 255 not in used else _free(used, colours)
