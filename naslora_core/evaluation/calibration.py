"""Do pixels that are foreground with probability p turn out to be foreground in a share p of the cases."""

import numpy as np
import pandas as pd

from naslora_core.evaluation.segmented import SegmentedImage, foreground

BINS = 15


def reliability(image: SegmentedImage) -> np.ndarray:
    """Count one image's pixels by their probability of being foreground of any class.

    Returns:
        (3, BINS) float64: pixels, sum of their probabilities, how many are foreground. A bin holds its lower end;
        the last holds 1 too.
    """
    comparison = image.shared(foreground)
    probability = comparison.probability.ravel()
    bins = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = np.bincount(bins, weights=probability, minlength=BINS)
    return np.stack([counts, sums, np.bincount(bins[comparison.truth.ravel()], minlength=BINS)])


class Calibration:
    """The reliability diagram of a set of images, pixel by pixel."""

    def __init__(self) -> None:
        self._sums = np.zeros((3, BINS))

    def add(self, image: SegmentedImage) -> None:
        """Count the pixels of one more image."""
        self._sums += image.shared(reliability)

    def expected_error(self) -> float:
        """Return the mean over all pixels of |mean probability - foreground share| of their bin, 0..1."""
        pixels, probabilities, wanted = self._sums
        return float(np.abs(probabilities - wanted).sum() / pixels.sum())

    def table(self) -> pd.DataFrame:
        """Return one row per bin that has pixels: bin_low, bin_high, pixels, mean_probability, foreground_share."""
        edges = np.arange(BINS + 1) / BINS
        pixels, probabilities, wanted = self._sums
        used = pixels > 0
        columns = {
            "bin_low": edges[:-1][used],
            "bin_high": edges[1:][used],
            "pixels": pixels[used].astype(np.int64),
            "mean_probability": probabilities[used] / pixels[used],
            "foreground_share": wanted[used] / pixels[used],
        }
        return pd.DataFrame(columns)
