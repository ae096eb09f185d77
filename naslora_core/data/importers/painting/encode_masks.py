"""Write class ids as the mask files of a dataset that exists already, by its card."""

from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard
from naslora_core.data.importers.painting.mask_files import write_ids
from naslora_core.data.importers.reading.understood import number_of
from naslora_core.errors import DataError

OPAQUE = 255


def write_encoded(ids: np.ndarray, card: DatasetCard, path: Path) -> None:
    """Write class ids in the encoding of a card; what is read from the file are the same ids.

    Args:
        ids: (H, W) uint8, by the classes of the card; IGNORED_ID is what nobody labelled.
        card: says how.
        path: a PNG file.

    Raises:
        DataError: if the card has no value for what nobody labelled, or its masks hold one class and these more.
    """
    if card.reading in ("values", "colours"):
        numbers = _numbers(card, path if (ids == IGNORED_ID).any() else None)[ids]
        if card.reading == "colours":
            Image.fromarray(np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], 2).astype(np.uint8)).save(path)
        elif numbers.max(initial=0) < IGNORED_ID:
            write_ids(numbers.astype(np.uint8), path)
        else:
            # Class ids of a palette end there.
            depth = np.uint8 if numbers.max() <= IGNORED_ID else np.uint16
            Image.fromarray(numbers.astype(depth)).save(path)
        return
    marked = (ids > 0) & (ids != IGNORED_ID)
    if ids[marked].max(initial=1) > 1:
        raise DataError(f"{path} needs several classes, and the masks of this dataset hold one")
    if card.reading == "alpha":
        Image.merge("LA", [Image.fromarray((marked * OPAQUE).astype(np.uint8))] * 2).save(path)
        return
    levels = np.where(marked, _marked_level(card), 0)
    if (ignored := ids == IGNORED_ID).any():
        levels[ignored] = _ignore_number(card, path)
    Image.fromarray(levels.astype(np.uint8)).save(path)


def _numbers(card: DatasetCard, ignored_in: Path | None) -> np.ndarray:
    """Return the stored number of each class id, (256,) int32."""
    numbers = np.zeros(IGNORED_ID + 1, dtype=np.int32)
    for class_id, name in enumerate(card.classes, start=1):
        numbers[class_id] = number_of((card.mask_values or {})[name][0])
    if ignored_in is not None:
        numbers[IGNORED_ID] = _ignore_number(card, ignored_in)
    return numbers


def _marked_level(card: DatasetCard) -> int:
    """Return a grey level, or the number of an object, that means the only class."""
    if card.reading == "instances":
        return next(value for value in range(1, 256) if value not in (card.mask_ignore or ()))
    return next(value for value in range(255, 0, -1) if value not in (card.mask_ignore or ()))


def _ignore_number(card: DatasetCard, path: Path) -> int:
    if not card.mask_ignore:
        raise DataError(
            f"{path} has pixels that nobody labelled, for which this dataset has no value; add one to dataset.yaml, "
            "such as mask_ignore: [255]"
        )
    return number_of(card.mask_ignore[0])
