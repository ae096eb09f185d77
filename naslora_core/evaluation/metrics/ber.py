"""BER: the balanced error rate, which weighs foreground and background alike however small the object."""

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap


@metric(
    "ber",
    title="BER per image",
    definition="Mean of the error rates on the object's pixels and on the background's, 0 to 1; where an image has "
    "no object, or nothing else, the error rate of what it has, so 0 if both are empty.",
    higher_is_better=False,
)
def ber(comparison: Comparison) -> float:
    """Return 1 - (true positive rate + true negative rate) / 2, 0..1; lower is better.

    A rate of a side that the truth lacks is left out, as in scikit-learn's balanced accuracy.
    Aggregated as the mean over images, as AutoGluon does; the shadow literature pools the pixels of the whole set,
    which is the set metric `ber_set`, and multiplies by 100.
    """
    return float(comparison.shared(overlap).balanced_error)
