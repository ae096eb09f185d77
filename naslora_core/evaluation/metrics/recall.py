"""Recall, also called sensitivity: how much of what is there was marked."""

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap


@metric(
    "recall",
    title="Recall",
    definition="Share of the true pixels that were predicted; 1 if both are empty, 0 if one is.",
)
def recall(comparison: Comparison) -> float:
    """Return |P and T| / |T|, foreground only, 0..1.

    Two empty masks score 1. A false alarm where there is nothing scores 0, as by Dice and IoU: it has no recall, and
    to leave the image out would make the mean one over other images than those of the rest of the table.
    Aggregated as the mean over images.
    """
    return float(comparison.shared(overlap).recall)
