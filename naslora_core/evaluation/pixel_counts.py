"""Pixel counts, and Dice, IoU, precision, recall and BER computed from them."""

from typing import NamedTuple

import numpy as np


class PixelCounts(NamedTuple):
    """Pixels of one class, of one image or pooled over many; arrays of one shape, () or one entry per threshold.

    The quotients below are floats in 0..1, of the counts' shape.

    Attributes:
        shared: in both prediction and truth.
        found: in the prediction.
        wanted: in the truth.
        pixels: all that are labelled, background included.
    """

    shared: np.ndarray
    found: np.ndarray
    wanted: np.ndarray
    pixels: np.ndarray

    @property
    def dice(self) -> np.ndarray:
        """Twice the shared pixels over those of both; 1 if both are empty."""
        return _divide(2 * self.shared, self.found + self.wanted, empty=1)

    @property
    def iou(self) -> np.ndarray:
        """Shared pixels over those of either; 1 if both are empty."""
        return _divide(self.shared, self.found + self.wanted - self.shared, empty=1)

    @property
    def precision(self) -> np.ndarray:
        """Shared pixels over those found; of an empty prediction 1 if the truth is empty too, else 0."""
        return _divide(self.shared, self.found, empty=np.equal(self.wanted, 0))

    @property
    def recall(self) -> np.ndarray:
        """Shared pixels over those wanted; of an empty truth 1 if the prediction is empty too, else 0."""
        return _divide(self.shared, self.wanted, empty=np.equal(self.found, 0))

    @property
    def balanced_error(self) -> np.ndarray:
        """One minus the mean of both sides' recalls; a side without pixels in the truth is left out."""
        outside = self.pixels - self.wanted
        false_alarms = self.found - self.shared
        error = _divide(self.wanted - self.shared, self.wanted, empty=0) + _divide(false_alarms, outside, empty=0)
        return error / np.maximum(np.greater(self.wanted, 0).astype(int) + np.greater(outside, 0), 1)


def _divide(above: np.ndarray, below: np.ndarray, empty: float | np.ndarray) -> np.ndarray:
    """Return `above / below`, and `empty` where `below` is zero."""
    result = np.broadcast_to(np.asarray(empty, dtype=np.float64), below.shape).copy()
    return np.divide(above, below, out=result, where=below > 0)
