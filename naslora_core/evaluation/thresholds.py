"""Overlap metrics over a range of thresholds."""

import numpy as np
import pandas as pd

from naslora_core.evaluation.pixel_counts import PixelCounts
from naslora_core.evaluation.segmented import Comparison, SegmentedImage

THRESHOLDS = np.arange(1, 20) / 20
SWEPT = ("dice", "iou", "precision", "recall")


class ThresholdSweep:
    """Means over images of overlap metrics, for each of `THRESHOLDS`.

    Of several classes it asks whether a pixel is of any, as a threshold can say no more.
    """

    def __init__(self) -> None:
        self._sums = np.zeros((len(SWEPT), len(THRESHOLDS)))
        self._images = 0

    def add(self, image: SegmentedImage) -> None:
        """Score one more image with every threshold."""
        counts = _counts_by_threshold(image.foreground)
        self._sums += [getattr(counts, name) for name in SWEPT]
        self._images += 1

    def table(self) -> pd.DataFrame:
        """Return one row per threshold: threshold, then the mean over images of each of `SWEPT`."""
        means = dict(zip(SWEPT, self._sums / self._images, strict=True))
        return pd.DataFrame({"threshold": THRESHOLDS} | means)


def _counts_by_threshold(comparison: Comparison) -> PixelCounts:
    probability, truth = comparison.probability, comparison.truth
    # In the precision of the probabilities, as `decide` compares them.
    thresholds = THRESHOLDS.astype(probability.dtype)
    # Most pixels are below every threshold: to leave them out first takes a third of the time.
    above_any = probability > thresholds[0]
    shared = _count_above(probability[above_any & truth], thresholds)
    return PixelCounts(
        shared=shared,
        found=shared + _count_above(probability[above_any & ~truth], thresholds),
        wanted=np.full(len(thresholds), np.count_nonzero(truth)),
        pixels=np.full(len(thresholds), comparison.pixels),
    )


def _count_above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return how many of the values (N,) are above each of the rising thresholds (T,), as (T,)."""
    passed = np.bincount(np.searchsorted(thresholds, values), minlength=len(thresholds) + 1)
    return passed[::-1].cumsum()[::-1][1:]
