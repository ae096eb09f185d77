"""mIoU, the number of semantic segmentation: IoU over a set, mean over the classes."""

from naslora_core.evaluation.set_metrics.pooled import PooledCounts, mean_where
from naslora_core.evaluation.set_metrics.set_metric import set_metric


@set_metric(
    "miou",
    title="mIoU of the set, with background",
    definition="Pixels shared by prediction and truth, divided by the pixels in either, those of all images pooled, "
    "mean over the background and the classes that occur.",
)
class MeanIou(PooledCounts):
    """Pooled IoU, mean over ids with the background as one of them, 0..1.

    As PASCAL VOC and Trans10K-v2 count; torchmetrics' macro `JaccardIndex` too. Papers on polyps call the mean of
    `iou` over images mIoU, which is another number.
    """

    def value(self) -> float:
        """Return the mean over background and classes that occur in truth or prediction."""
        counts = self.all_ids()
        return mean_where(counts.iou, counts.found + counts.wanted)
