"""Write what the report shows of scale: how wide objects are, and examples of what shrinking loses."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from naslora_core.data.dataset.dataset import Dataset
from naslora_core.data.dataset.view import SuggestedView
from naslora_core.files import write_json
from naslora_core.quality.scale.lost import write_lost
from naslora_core.quality.scale.view import CELL_PX, ClassWidths, thinnest_first, widths_by_class
from naslora_core.quality.scale.widths import BINS_PER_OCTAVE

WIDTHS_FILE = "widths.json"
FORMAT: Literal[1] = 1


def write_scale(folder: Path, table: pd.DataFrame, dataset: Dataset, input_px: int, view: SuggestedView) -> None:
    """Write widths.json and, where objects are thin or lost, pictures of that; the same data gives the same bytes.

    Args:
        folder: gets the files.
        table: measurements, see `quality.table`.
        dataset: that was measured.
        input_px: side of the model's input.
        view: what was suggested.
    """
    folder.mkdir(parents=True)
    classes = thinnest_first(widths_by_class(table, dataset.card, input_px))
    is_thin = view.view == "crops" or view.has_thin_objects
    examples = write_lost(folder, table, dataset, input_px, classes[0].name) if is_thin else []
    content = {"format": FORMAT, "input_px": input_px, "cell_px": CELL_PX}
    write_json(folder / WIDTHS_FILE, content | {"classes": [*map(_described, classes)], "examples": examples})


def _described(one: ClassWidths) -> dict[str, Any]:
    return {
        "name": one.name,
        "objects": int(one.objects.sum()),
        "whole": _histogram(one.model_px, one.weights),
        "native": _histogram(one.native_px, one.weights),
    }


def _histogram(widths: np.ndarray, weights: np.ndarray) -> list[tuple[float, float]]:
    """Return (width in px, share of what is marked) of eighths of an octave, those that have any."""
    bins = np.rint(BINS_PER_OCTAVE * np.log2(widths)).astype(np.int64)
    numbers, places = np.unique(bins, return_inverse=True)
    shares = np.bincount(places, weights=weights)
    return [
        (round(float(2 ** (number / BINS_PER_OCTAVE)), 3), round(float(share), 6))
        for number, share in zip(numbers, shares, strict=True)
    ]
