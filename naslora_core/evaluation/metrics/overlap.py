"""Overlap metrics: Dice, IoU, precision, recall and BER.

All are of the foreground alone, 0..1, and aggregated as the mean over images; the same counts pooled over a whole set
are set metrics.
"""

from naslora_core.evaluation.metrics.metric import METRICS
from naslora_core.evaluation.segmented import Comparison


@METRICS.define(
    "dice",
    title="Dice",
    definition="Twice the pixels shared by prediction and truth, divided by the pixels of both; "
    "1 if both are empty, 0 if one is.",
)
def dice(comparison: Comparison) -> float:
    """Return 2|P and T| / (|P| + |T|).

    Two empty masks score 1. The mean over images is mDice of the polyp literature;
    it is not the Dice of all images' pixels pooled, and the background is not a class.
    """
    return float(comparison.counts.dice)


@METRICS.define(
    "iou",
    title="IoU",
    definition="Pixels shared by prediction and truth, divided by the pixels in either; "
    "1 if both are empty, 0 if one is.",
)
def iou(comparison: Comparison) -> float:
    """Return |P and T| / |P or T|, also called the Jaccard index.

    Two empty masks score 1. The mean over images is ISIC's Jaccard index; pooled over a set it is the set metric
    `iou_set`.
    """
    return float(comparison.counts.iou)


@METRICS.define(
    "precision",
    title="Precision",
    definition="Share of the predicted pixels that are true; 1 if both are empty, 0 if one is.",
)
def precision(comparison: Comparison) -> float:
    """Return |P and T| / |P|, the share of predicted pixels that are right.

    Two empty masks score 1, and an empty prediction of an object 0: it found nothing that could be right.
    """
    return float(comparison.counts.precision)


@METRICS.define(
    "recall",
    title="Recall",
    definition="Share of the true pixels that were predicted; 1 if both are empty, 0 if one is.",
)
def recall(comparison: Comparison) -> float:
    """Return |P and T| / |T|, the share of true pixels that are predicted; also called sensitivity.

    Two empty masks score 1. A false alarm where there is nothing scores 0, as by Dice and IoU: it has no recall, and
    to leave the image out would make the mean one over other images than those of the rest of the table.
    """
    return float(comparison.counts.recall)


@METRICS.define(
    "ber",
    title="BER per image",
    definition="Mean of the error rates on the object's pixels and on the background's, 0 to 1; where an image has "
    "no object, or nothing else, the error rate of what it has, so 0 if both are empty.",
    higher_is_better=False,
)
def ber(comparison: Comparison) -> float:
    """Return 1 - (true positive rate + true negative rate) / 2, the balanced error rate; lower is better.

    It weighs foreground and background alike, however small the object. A rate of a side that the truth lacks is left
    out, as in scikit-learn's balanced accuracy. AutoGluon takes the mean over images too; the shadow literature pools
    the pixels of the whole set, which is the set metric `ber_set`, and multiplies by 100.
    """
    return float(comparison.counts.balanced_error)
