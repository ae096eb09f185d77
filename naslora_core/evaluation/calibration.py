"""Calibration: compare predicted probabilities with the share of foreground among the pixels that have them."""

import numpy as np
import pandas as pd

from naslora_core.evaluation.segmented import RELIABILITY_BINS, SegmentedImage


class Calibration:
    """The reliability diagram of a set of images, pixel by pixel."""

    def __init__(self) -> None:
        self._sums = np.zeros((3, RELIABILITY_BINS))

    def add(self, image: SegmentedImage) -> None:
        """Count the pixels of one more image."""
        self._sums += image.reliability

    def expected_error(self) -> float:
        """Return the mean over all pixels of |mean probability - foreground share| of their bin, 0..1."""
        pixels, probabilities, wanted = self._sums
        return float(np.abs(probabilities - wanted).sum() / pixels.sum())

    def table(self) -> pd.DataFrame:
        """Return one row per bin that has pixels: bin_low, bin_high, pixels, mean_probability, foreground_share."""
        edges = np.arange(RELIABILITY_BINS + 1) / RELIABILITY_BINS
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
