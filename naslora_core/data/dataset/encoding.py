"""Decode mask files into class ids, as the card of the dataset says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID, DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.image_files.pixels import (
    ALPHA_THRESHOLD,
    load_picture,
    to_alpha,
    to_colours,
    to_indices,
    to_mask_values,
)
from naslora_core.errors import DataError, few

# Of a colour, 0xRRGGBB; indices are smaller.
_WIDEST = 0xFFFFFF


def read_pair(pair: Pair, card: DatasetCard) -> tuple[np.ndarray, np.ndarray]:
    """Read an image (H, W, 3) uint8 RGB and the class ids of its mask (H, W) uint8.

    Raises:
        DataError: if a file is missing or unreadable, a mask has an unknown value, or the sizes differ.
    """
    if pair.image is None or pair.mask is None:
        missing = "image" if pair.image is None else "mask"
        raise DataError(f"'{pair.name}' has no {missing} file; add it, then run naslora data check")
    image = read_image(pair.image, card.image)
    mask = read_class_ids(pair.mask, card)
    if image.shape[:2] != mask.shape:
        raise DataError(
            f"{pair.mask} is {mask.shape[1]}x{mask.shape[0]} px, "
            f"its image is {image.shape[1]}x{image.shape[0]} px;"
            " both must have the same size. Replace the wrong one"
        )
    return image, mask


@dataclass(frozen=True)
class DecodedMask:
    """The class ids of a mask file, and the values that no class has.

    Attributes:
        ids: (H, W) uint8, 0 is the background, 1 the first class, IGNORED_ID what nobody labelled.
        unknown: values or colours that no class has; their pixels are background in `ids`.
    """

    ids: np.ndarray
    unknown: tuple[str, ...] = ()


def read_class_ids(path: Path, card: DatasetCard) -> np.ndarray:
    """Return the class of every pixel, (H, W) uint8; 0 is the background, IGNORED_ID not labelled.

    Raises:
        DataError: if the file is missing, cut short or not an image, or has a value that no class has.
    """
    decoded = decode_mask(path, card)
    if decoded.unknown:
        raise DataError(
            f"{path} has the value{'s' if len(decoded.unknown) > 1 else ''} {few(decoded.unknown)}, which "
            "no class has; correct the mask, or list them under mask_values in dataset.yaml"
        )
    return decoded.ids


def decode_mask(path: Path, card: DatasetCard) -> DecodedMask:
    """Decode a mask, and report the values that no class has instead of raising.

    Raises:
        DataError: if the file is missing, cut short or not an image.
    """
    return decode_picture(load_picture(path), path, card)


def decode_picture(picture: Image.Image, path: Path, card: DatasetCard) -> DecodedMask:
    """Decode a mask that `load_picture` has read from `path`, as `decode_mask` does.

    Raises:
        DataError: if it has more channels than classes given as numbers can have.
    """
    reading = card.reading
    if reading == "grey":
        levels = to_mask_values(picture, path)
        ids = (levels >= (card.mask_threshold or 1)).astype(np.uint8)
        if card.mask_ignore:
            ids[np.isin(levels, card.mask_ignore)] = IGNORED_ID
        return DecodedMask(ids)
    if reading == "alpha":
        return DecodedMask((to_alpha(picture, path) >= ALPHA_THRESHOLD).astype(np.uint8))
    pixels = to_colours(picture) if reading == "colours" else to_indices(picture, path)
    if reading == "instances":
        return DecodedMask(np.where(np.isin(pixels, card.mask_ignore or ()), IGNORED_ID, pixels > 0).astype(np.uint8))
    meaning = {0: 0} | {_number(value): IGNORED_ID for value in card.mask_ignore or ()}
    for name, values in (card.mask_values or {}).items():
        class_id = 0 if name == BACKGROUND else card.classes.index(name) + 1
        meaning |= {_number(value): class_id for value in values}
    found, ids = _look_up(pixels, meaning)
    unknown = [int(value) for value in found if int(value) not in meaning]
    return DecodedMask(ids, tuple(f"#{value:06x}" if reading == "colours" else str(value) for value in unknown))


def _number(value: int | str) -> int:
    return int(value[1:], 16) if isinstance(value, str) else value


def _look_up(pixels: np.ndarray, meaning: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, ascending, and the class id of every pixel, 0 for values without a meaning."""
    highest = int(pixels.max())
    if pixels.min() < 0 or highest > _WIDEST:
        found, places = np.unique(pixels, return_inverse=True)
        return found, np.array([meaning.get(int(v), 0) for v in found], dtype=np.uint8)[places].reshape(pixels.shape)
    # Marking and looking up is many times as fast as sorting, which other values need.
    occurs, ids = np.zeros(highest + 1, dtype=bool), np.zeros(highest + 1, dtype=np.uint8)
    occurs[pixels] = True
    for value, number in meaning.items():
        if value <= highest:
            ids[value] = number
    return np.flatnonzero(occurs), ids[pixels]
