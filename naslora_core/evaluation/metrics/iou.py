"""IoU, also called Jaccard index: shared pixels over the pixels of either mask."""

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.overlap import overlap


@metric(
    "iou",
    title="IoU",
    definition="Pixels shared by prediction and truth, divided by the pixels in either; "
    "1 if both are empty, 0 if one is.",
)
def iou(comparison: Comparison) -> float:
    """Return |P and T| / |P or T|, foreground only, 0..1.

    Two empty masks score 1. Aggregated as the mean over images, as ISIC's Jaccard index; pooled over a set it is
    the set metric `iou_set`.
    """
    return float(comparison.shared(overlap).iou)
