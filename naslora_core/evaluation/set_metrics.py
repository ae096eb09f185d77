"""Metrics of a set of images that pool the pixels of all images instead of averaging over images."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from naslora_core.evaluation.calibration import Calibration
from naslora_core.evaluation.metrics.metric import MetricRegistry
from naslora_core.evaluation.pixel_counts import PixelCounts
from naslora_core.evaluation.segmented import SegmentedImage


class SetMeasure(Protocol):
    """Accumulates one metric image by image; keeps sums, never images."""

    def add(self, image: SegmentedImage) -> None:
        """Add one more image."""
        ...

    def value(self) -> float:
        """Return the metric over all added images; there must be at least one."""
        ...


# `measure` of such a metric takes the number of classes beside the background and returns one that has seen no image.
SET_METRICS: MetricRegistry[Callable[[int], SetMeasure]] = MetricRegistry("set metric")


class PooledCounts:
    """Sums of pixel counts over the images of a set.

    Args:
        class_count: K, how many classes there are beside the background.
    """

    def __init__(self, class_count: int) -> None:
        self._counts = np.zeros((4, class_count + 1), dtype=np.int64)

    def add(self, image: SegmentedImage) -> None:
        """Count the pixels of one more image."""
        self._counts += image.counts_by_class

    def all_ids(self) -> PixelCounts:
        """Return the counts of background and classes, arrays of (K + 1,)."""
        return PixelCounts(*self._counts)

    def classes(self) -> PixelCounts:
        """Return the counts of the classes without the background, arrays of (K,)."""
        return PixelCounts(*self._counts[:, 1:])


def _mean_where(values: np.ndarray, counts: np.ndarray) -> float:
    """Return the mean of the values whose count is not zero; of all, if every count is."""
    return float(values[counts > 0].mean() if counts.any() else values.mean())


@SET_METRICS.define(
    "ber_set",
    title="BER of the set",
    definition="Mean of the error rates on the object's pixels and on the background's, those of all images pooled, "
    "0 to 1; of several classes the mean over those that occur in the truth.",
    higher_is_better=False,
)
class BalancedErrorOfSet(PooledCounts):
    """Pooled balanced error rate, 1 - (true positive rate + true negative rate) / 2, 0..1.

    As in papers on shadows, which multiply by 100; the metric `ber` is that of one image. If no image has an object
    it is the false positive rate.
    """

    def value(self) -> float:
        """Return the mean over the classes that occur in the truth."""
        counts = self.classes()
        return _mean_where(counts.balanced_error, counts.wanted)


@SET_METRICS.define(
    "iou_set",
    title="IoU of the set",
    definition="Pixels shared by prediction and truth, divided by the pixels in either, those of all images pooled; "
    "of several classes the mean over those that occur, the background not among them; 1 if there are none at all.",
)
class IouOfSet(PooledCounts):
    """Pooled IoU of the foreground, 0..1, in which large objects weigh more than in the mean of `iou` over images."""

    def value(self) -> float:
        """Return the mean over the classes that occur in truth or prediction."""
        counts = self.classes()
        return _mean_where(counts.iou, counts.found + counts.wanted)


@SET_METRICS.define(
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
        return _mean_where(counts.iou, counts.found + counts.wanted)


@SET_METRICS.define(
    "ece",
    title="ECE of the set",
    definition="Expected calibration error: in 15 bins of the foreground's probability, the distance between its "
    "mean and the share of pixels that are foreground, weighted by the bin's pixels, those of all images pooled.",
    higher_is_better=False,
)
class ExpectedCalibrationError(Calibration):
    """Mean over all pixels of |mean probability - foreground share| of their bin, 0..1 (Guo et al., ICML 2017).

    Of several classes the foreground is any of them, so that a model which cannot tell them apart is measured alike.
    As torchmetrics' `BinaryCalibrationError(n_bins=15, norm="l1")`, but that a probability of exactly 1 is in the
    last bin here and in one of its own there. Source: arXiv:1706.04599, Eq. (3), of the probability of one outcome.
    """

    def __init__(self, class_count: int) -> None:
        super().__init__()

    def value(self) -> float:
        """Return the expected calibration error."""
        return self.expected_error()
