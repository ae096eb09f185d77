"""From pixels to a table: one row a pair, with everything the gate judges."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslora_core.data.dataset import Dataset, Pair
from naslora_core.data.pixels import read_image, read_mask_values
from naslora_core.errors import DataError
from naslora_core.progress import Progress, silent

OK, MISSING, UNREADABLE = "ok", "missing", "unreadable"
COLUMNS = (
    "name", "split", "image", "mask", "image_state", "mask_state", "image_problem", "mask_problem",
    "image_size", "mask_size", "shorter_side_px", "foreground_share", "object_share", "is_empty",
    "grey_share", "mask_values", "copy_of", "copy_in_other_split", "image_sha256", "mask_sha256",
)  # fmt: skip


def measure_pairs(dataset: Dataset, progress: Progress = silent) -> pd.DataFrame:
    """Open every file of a dataset and measure it.

    Returns:
        One row a pair, sorted by name. A value is missing where it could not be measured:
        image_state, mask_state: ok, missing or unreadable, and *_problem says why;
        image_size, mask_size: "WxH" in pixels; shorter_side_px: of the image;
        foreground_share: fraction of the mask at or above the threshold; object_share: the same, missing
        where it is 0; is_empty: 1.0 if it is 0, else 0.0;
        grey_share: fraction of the mask that is neither 0 nor its largest value;
        mask_values: how many different values the mask has;
        copy_of, copy_in_other_split: name of the first other pair with the same image bytes, "" if none.
    """
    rows = []
    for done, pair in enumerate(dataset.pairs, start=1):
        rows.append(_measure(dataset, pair))
        progress(done, len(dataset.pairs), f"check {dataset.card.name}")
    table = pd.DataFrame(rows, columns=[column for column in COLUMNS if not column.startswith("copy")])
    table["copy_of"], table["copy_in_other_split"] = _copies(table)
    return table[list(COLUMNS)]


def _measure(dataset: Dataset, pair: Pair) -> dict[str, Any]:
    row: dict[str, Any] = {"name": pair.name, "split": pair.split}
    for kind, path in (("image", pair.image), ("mask", pair.mask)):
        row[kind] = dataset.relative(path)
        row[f"{kind}_state"] = MISSING if path is None else OK
        row[f"{kind}_problem"] = f"there is no {kind} of this name" if path is None else ""
        row[f"{kind}_sha256"] = "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    if pair.image is not None:
        row |= _measure_image(pair.image)
    if pair.mask is not None:
        row |= _measure_mask(pair.mask, dataset.card.mask_threshold)
    return row


def _measure_image(path: Path) -> dict[str, Any]:
    try:
        height, width = read_image(path).shape[:2]
    except DataError as error:
        return {"image_state": UNREADABLE, "image_problem": _reason(error, path)}
    return {"image_size": f"{width}x{height}", "shorter_side_px": float(min(height, width))}


def _measure_mask(path: Path, threshold: int) -> dict[str, Any]:
    try:
        values = read_mask_values(path)
    except DataError as error:
        return {"mask_state": UNREADABLE, "mask_problem": _reason(error, path)}
    height, width = values.shape
    foreground = float(np.mean(values >= threshold))
    return {
        "mask_size": f"{width}x{height}",
        "foreground_share": foreground,
        "object_share": foreground or None,
        "is_empty": float(foreground == 0),
        "grey_share": float(np.mean((values != 0) & (values != values.max()))),
        "mask_values": float(len(np.unique(values))),
    }


def _reason(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path} ").removesuffix("; replace the file")


def _copies(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    members: dict[str, list[tuple[str, str]]] = {}
    for name, split, digest in zip(table["name"], table["split"], table["image_sha256"], strict=True):
        members.setdefault(digest, []).append((name, split))
    anywhere, elsewhere = [], []
    for name, split, digest in zip(table["name"], table["split"], table["image_sha256"], strict=True):
        others = [] if not digest else [other for other in members[digest] if other[0] != name]
        anywhere.append(others[0][0] if others else "")
        elsewhere.append(next((f"{other} ({part})" for other, part in others if part != split), ""))
    return anywhere, elsewhere
