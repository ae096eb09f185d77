"""The score of a class in an image: the mean probability of the pixels that its mask covers."""

from collections.abc import Mapping

import numpy as np

# The form of what `to_text` writes.
SCORES = r"^\d{1,3}:[01]\.\d{6}( \d{1,3}:[01]\.\d{6})*$"


class ScoreSum:
    """Collects the rows of an image; keeps two numbers for each class."""

    def __init__(self) -> None:
        self._sums: dict[int, float] = {}
        self._counts: dict[int, int] = {}

    def add(self, probability: np.ndarray, ids: np.ndarray) -> None:
        """Add rows of an image.

        Args:
            probability: (n, W), or (K, n, W) for several classes; float32 in 0..1.
            ids: (n, W) uint8 class of every pixel, 0 is the background.
        """
        for number in np.unique(ids[ids > 0]).tolist():
            of_class = probability if probability.ndim == 2 else probability[number - 1]
            inside = of_class[ids == number]
            self._sums[number] = self._sums.get(number, 0.0) + float(inside.sum(dtype=np.float64))
            self._counts[number] = self._counts.get(number, 0) + inside.size

    def means(self) -> dict[int, float]:
        """Return the score of each class that has a pixel, by class id; six decimals."""
        return {number: round(self._sums[number] / self._counts[number], 6) for number in sorted(self._sums)}


def to_text(scores: Mapping[int, float]) -> str | None:
    """Return scores as predictions.csv holds them: "1:0.934000 3:0.871250"; None of none."""
    return " ".join(f"{number}:{score:.6f}" for number, score in scores.items()) or None


def from_text(text: str | None) -> dict[int, float]:
    """Return the scores that `to_text` wrote, by class id; none of None."""
    pairs = (pair.split(":") for pair in (text or "").split())
    return {int(number): float(score) for number, score in pairs}
