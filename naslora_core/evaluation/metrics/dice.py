"""Dice: overlap as twice the shared pixels over all pixels of both masks."""

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap


@metric(
    "dice",
    title="Dice",
    definition="Twice the pixels shared by prediction and truth, divided by the pixels of both; "
    "1 if both are empty, 0 if one is.",
)
def dice(comparison: Comparison) -> float:
    """Return 2|P and T| / (|P| + |T|), foreground only, 0..1.

    Two empty masks score 1. Aggregated as the mean over images, mDice of the polyp literature;
    it is not the Dice of all images' pixels pooled, and the background is not a class.
    """
    return float(comparison.shared(overlap).dice)
