"""Pictures of what shrinking loses: windows of the images with most thin objects, drawn and as mask cells keep them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Dataset
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.errors import DataError
from naslora_core.files import atomic_file
from naslora_core.quality.measure_file import widths_column
from naslora_core.quality.scale.view import CELL_PX, THIN_PX
from naslora_core.quality.scale.widths import unpack_widths
from naslora_core.sam.square import resize_mask

_EXAMPLES, _WINDOW_PX = 3, 240


def write_lost(
    folder: Path, table: pd.DataFrame, dataset: Dataset, input_px: int, of_class: str
) -> list[dict[str, Any]]:
    """Write up to three windows of training images where most of a class is too thin for masks of its cells.

    Args:
        folder: gets a JPEG of each window's image, and a PNG of its mask as drawn and as kept.
        table: measurements, see `quality.table`.
        dataset: that was measured.
        input_px: side of the model's input.
        of_class: name of the class.

    Returns:
        Of each example name, files (image, drawn, kept) and dice: of the whole kept mask with the drawn one.
    """
    pairs = {pair.name: pair for pair in dataset.pairs}
    examples: list[dict[str, Any]] = []
    for name in _most_thin(table, input_px, of_class):
        try:
            image, ids = read_pair(pairs[name], dataset.card)
        except DataError:  # The gate names the file.
            continue
        drawn = ids == _number(dataset.card, of_class)
        kept, dice = best_kept(drawn, input_px)
        window = _window(drawn & ~kept)
        files = {kind: f"{len(examples) + 1}_{kind}.{end}" for kind, end in
                 (("image", "jpg"), ("drawn", "png"), ("kept", "png"))}  # fmt: skip
        with atomic_file(folder / files["image"]) as temporary:
            Image.fromarray(image[window]).save(temporary, format="JPEG", quality=85)
        for kind, mask in (("drawn", drawn), ("kept", kept)):
            with atomic_file(folder / files[kind]) as temporary:
                Image.fromarray(mask[window]).save(temporary, format="PNG", optimize=True)
        examples.append({"name": name, "class": of_class, **files, "dice": round(dice, 4)})
    return examples


def best_kept(drawn: np.ndarray, input_px: int) -> tuple[np.ndarray, float]:
    """Return what a mask of the model's own resolution keeps of a drawn one, at its best threshold.

    The mask is shrunk to the model's input as training sees it, averaged over mask cells, enlarged bilinearly, and cut
    at the threshold of the largest Dice.

    Args:
        drawn: (H, W) bool, with a pixel that is True.
        input_px: side of the model's input.

    Returns:
        The kept mask, (H, W) bool, and its Dice with the drawn one.
    """
    seen = resize_mask(drawn.view(np.uint8) * np.uint8(255), input_px)
    height, width = (-(-side // CELL_PX) for side in seen.shape)
    cells = cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(cells, drawn.shape[::-1], interpolation=cv2.INTER_LINEAR)
    marked, right = (np.cumsum(np.bincount(levels.ravel(), minlength=256)[::-1])[::-1]
                     for levels in (enlarged, enlarged[drawn]))  # fmt: skip
    dice = 2 * right / (marked + right[0])
    # At level 0 everything would be marked.
    threshold = 1 + int(np.argmax(dice[1:]))
    return enlarged >= threshold, float(dice[threshold])


def _most_thin(table: pd.DataFrame, input_px: int, of_class: str) -> list[str]:
    """Return the names of the training images with most pixels of a class in objects thinner than two mask cells."""
    rows = table[(table["split"] == "train") & table["mask_width"].notna()]
    mask, native_px, _, pixels = unpack_widths(rows[widths_column(of_class)].fillna("").tolist()).T
    mask = mask.astype(np.int64)
    scale = input_px / rows[["mask_width", "mask_height"]].max(axis=1).to_numpy(dtype=np.float64)
    thin = np.bincount(mask, weights=pixels * (native_px * scale[mask] < THIN_PX), minlength=len(rows))
    order = np.argsort(-thin, kind="stable")[:_EXAMPLES]
    return [str(rows["name"].iloc[place]) for place in order if thin[place]]


def _number(card: DatasetCard, name: str) -> int:
    return card.classes.index(name) + 1


def _window(lost: np.ndarray) -> tuple[slice, slice]:
    """Return the part of (H, W) bool that has most pixels; its sides are at most 240 px."""
    sides = [min(side, _WINDOW_PX) for side in lost.shape]
    sums = cv2.integral(lost.view(np.uint8))
    height, width = sides
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)
