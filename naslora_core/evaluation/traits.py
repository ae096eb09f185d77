"""Traits by which scores are broken down: the object's size, and its contrast to the surroundings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.dataset.ignored import foreground_share, is_foreground, without_ignored
from naslora_core.evaluation.metrics.boundary import bounding_box, steps_to

_SURROUNDINGS = 0.05
NO_LEVEL = "none"


@dataclass(frozen=True)
class Trait:
    """A number that describes an image, and the names of its three levels.

    Args:
        column: of the table, where the numbers are.
        title: how tables call it.
        levels: of the lower, the middle and the upper third of the images.
    """

    column: str
    title: str
    levels: tuple[str, str, str]


# By the column that holds the level.
TRAITS = {
    "object_size": Trait("object_share", "Size of the object", ("small", "medium", "large")),
    "contrast_level": Trait("contrast", "Contrast of the object", ("low", "medium", "high")),
}


def describe_images(pairs: Sequence[Pair], card: DatasetCard) -> pd.DataFrame:
    """Describe the object of every image; of several classes, the foreground of any.

    Args:
        pairs: image and mask files, none missing.
        card: says what the masks mean.

    Returns:
        One row per image: name, object_share (foreground share of what is labelled, 0..1), object_size, contrast (see
        `contrast`) and contrast_level. The levels are the thirds of these very images, those without an object left
        out, which have the level "none": every level has images, whatever the dataset, and where it begins and ends
        is in the summary.

    Raises:
        DataError: if a file is missing or unreadable, or a mask has another size.
    """
    rows = []
    for pair in pairs:
        image, truth = read_pair(pair, card)
        ignored = without_ignored(truth)[1]
        rows.append((pair.name, foreground_share(truth), contrast(image, is_foreground(truth), ignored)))
    table = pd.DataFrame(rows, columns=["name", "object_share", "contrast"])
    has_object = table["object_share"] > 0
    for level, trait in TRAITS.items():
        table[level] = _thirds(table[trait.column].where(has_object), trait.levels)
    return table[["name", "object_share", "object_size", "contrast", "contrast_level"]]


def contrast(image: np.ndarray, mask: np.ndarray, ignored: np.ndarray | None = None) -> float:
    """Return how far the object's mean colour is from that of its surroundings.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the object.
        ignored: (H, W) bool, pixels that nobody labelled and that are no surroundings; None if there are none.

    Returns:
        Euclidean distance in CIELAB (CIE76), 0 to about 150; around 2 a difference can just be seen, black and white
        are 100 apart. Surroundings are the background within 5 % of the image's diagonal, in chessboard steps. NaN
        without an object, or without a background.
    """
    if not mask.any() or mask.all():
        return math.nan
    reach_px = max(1, round(_SURROUNDINGS * math.hypot(*mask.shape)))
    where = bounding_box(mask, reach_px)
    inside = mask[where]
    around = ~inside & (steps_to(inside) <= reach_px)
    if ignored is not None:
        around &= ~ignored[where]
        if not around.any():
            return math.nan
    lab = cv2.cvtColor(np.ascontiguousarray(image[where]), cv2.COLOR_RGB2LAB)
    colours = [np.array(cv2.mean(lab, region.astype(np.uint8))[:3]) for region in (inside, around)]
    # OpenCV stores the lightness, 0 to 100, as 0 to 255.
    return float(np.linalg.norm((colours[0] - colours[1]) * (100 / 255, 1, 1)))


def _thirds(values: pd.Series, levels: tuple[str, str, str]) -> pd.Series:
    """Return the name of the tercile of each value; equal values share one, and NaN has the level "none"."""
    # Equals share the mean of their ranks, so that ties are never torn apart, though a third may be empty.
    third = np.ceil((values.rank(method="average") - 0.5) * 3 / values.notna().sum())
    return third.map(dict(enumerate(levels, start=1))).fillna(NO_LEVEL)
