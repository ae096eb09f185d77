"""Precision: how much of what was marked is right."""

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap


@metric(
    "precision",
    title="Precision",
    definition="Share of the predicted pixels that are true; 1 if both are empty, 0 if one is.",
)
def precision(comparison: Comparison) -> float:
    """Return |P and T| / |P|, foreground only, 0..1.

    Two empty masks score 1, and an empty prediction of an object 0: it found nothing that could be right.
    Aggregated as the mean over images.
    """
    return float(comparison.shared(overlap).precision)
