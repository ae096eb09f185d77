"""IoU of a set: every pixel counts alike, so large objects count more."""

from naslora_core.evaluation.set_metrics.pooled import PooledCounts, mean_where
from naslora_core.evaluation.set_metrics.set_metric import set_metric


@set_metric(
    "iou_set",
    title="IoU of the set",
    definition="Pixels shared by prediction and truth, divided by the pixels in either, those of all images pooled; "
    "of several classes the mean over those that occur, the background not among them; 1 if there are none at all.",
)
class IouOfSet(PooledCounts):
    """Pooled IoU of the foreground, 0..1; the metric `iou` is that of one image."""

    def value(self) -> float:
        """Return the mean over the classes that occur in truth or prediction."""
        counts = self.classes()
        return mean_where(counts.iou, counts.found + counts.wanted)
