"""Dice: overlap as twice the shared pixels over all pixels of both masks."""

import numpy as np

from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap_counts


@metric(
    "dice",
    title="Dice",
    definition="Twice the pixels shared by prediction and truth, divided by the pixels of both; "
    "1 if both are empty, 0 if one is.",
)
def dice(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return 2|P and T| / (|P| + |T|), foreground only, 0..1.

    Two empty masks score 1. Aggregated as the mean over images, mDice of the polyp literature;
    it is not the Dice of all images' pixels pooled, and the background is not a class.
    """
    shared, found, wanted = overlap_counts(predicted, mask)
    return 2 * shared / (found + wanted) if found + wanted else 1.0
