"""IoU, also called Jaccard index: shared pixels over the pixels of either mask."""

import numpy as np

from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap_counts


@metric(
    "iou",
    title="IoU",
    definition="Pixels shared by prediction and truth, divided by the pixels in either; "
    "1 if both are empty, 0 if one is.",
)
def iou(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return |P and T| / |P or T|, foreground only, 0..1.

    Two empty masks score 1. Aggregated as the mean over images, as ISIC's Jaccard index.
    """
    shared, found, wanted = overlap_counts(predicted, mask)
    either = found + wanted - shared
    return shared / either if either else 1.0
