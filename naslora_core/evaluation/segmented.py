"""A prediction with its ground truth, and the quantities that several metrics share, each computed once.

Imports neither the metrics nor torch, so that serving and predicting can decide masks without loading them.
"""

from functools import cached_property

import numpy as np

from naslora_core.data.dataset.ignored import without_ignored
from naslora_core.evaluation.pixel_counts import PixelCounts

RELIABILITY_BINS = 15


def decide(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Return the class that a model predicts for every pixel.

    Args:
        probability: (H, W) that a pixel is foreground, or (K, H, W) that it is of each class; the background has
            what is left to 1.
        threshold: probability above which a pixel is foreground, as SAM's `masks > mask_threshold`. Several
            classes need none: the most probable of them and the background wins.

    Returns:
        (H, W) uint8, 0 is the background.
    """
    if probability.ndim == 2:
        return (probability > threshold).astype(np.uint8)
    background = 1 - probability.sum(axis=0, keepdims=True)
    return np.argmax(np.concatenate([background, probability]), axis=0).astype(np.uint8)


class Comparison:
    """The prediction of one class of one image, with its ground truth: the input of a metric.

    Args:
        probability: (H, W) float in 0..1, that a pixel is of the class.
        predicted: (H, W) bool, the mask decided from the probabilities.
        mask: (H, W) of 0 and 1, the truth.
        ignored: (H, W) bool, pixels that nobody labelled; all three before are 0 there. None if there are none.
    """

    def __init__(
        self, probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray, ignored: np.ndarray | None = None
    ) -> None:
        self.probability = probability
        self.predicted = predicted
        self.truth = mask > 0
        self.ignored = ignored

    @cached_property
    def counts(self) -> PixelCounts:
        """The pixels of prediction and truth, without those that nobody labelled."""
        predicted, truth = self.predicted, self.truth
        shared, found, wanted = (np.array(np.count_nonzero(mask)) for mask in (predicted & truth, predicted, truth))
        return PixelCounts(shared, found, wanted, pixels=np.array(self.pixels))

    @property
    def pixels(self) -> int:
        """How many pixels are labelled, background included."""
        return self.truth.size if self.ignored is None else int(np.count_nonzero(~self.ignored))

    @cached_property
    def stretched(self) -> np.ndarray:
        """The probabilities, rounded to 8 bits and stretched to 0..1, as published saliency evaluations do.

        They store them as 8-bit grey levels and stretch those to 0..1. Rounding comes first here too: without it
        the numerical noise of a constant prediction would be stretched to full contrast.
        Deviation: where the truth is empty nothing is stretched, because the faintest response
        would become a certain one and a near-perfect prediction would score like a bad one.

        (H, W) float64 in 0..1; a constant prediction keeps its value. Pixels that nobody labelled take no part in the
        stretching, and are 0.
        """
        prediction = np.rint(self.probability.astype(np.float64) * 255) / 255
        shown = prediction if self.ignored is None else prediction[~self.ignored]
        low, high = shown.min(), shown.max()
        if self.truth.any() and high > low:
            prediction = (prediction - low) / (high - low)
        if self.ignored is not None:
            prediction[self.ignored] = 0
        return prediction

    @cached_property
    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """`stretched` and `truth` without the pixels that nobody labelled, for measures that ask not where a pixel is.

        Both (H, W) where every pixel is labelled, else (1, N).
        """
        if self.ignored is None:
            return self.stretched, self.truth
        return self.stretched[~self.ignored][None], self.truth[~self.ignored][None]


class SegmentedImage:
    """The prediction of a model for one image, with its ground truth.

    Pixels that nobody labelled are in no count. Measures of shape, which need whole images, take them for background
    in prediction and truth alike.

    Args:
        probability: (H, W) float in 0..1, or (K, H, W) of a model that tells K classes apart.
        predicted: (H, W) uint8, decided from the probabilities: class ids, or 1 for foreground of any class.
        truth: (H, W) uint8 class ids, IGNORED_ID where nobody labelled.
        class_count: K, how many classes there are beside the background.

    Attributes:
        tells_classes_apart: whether `predicted` holds class ids.
        ignored: (H, W) bool, pixels that nobody labelled, None if there are none; all else is 0 there.
    """

    def __init__(self, probability: np.ndarray, predicted: np.ndarray, truth: np.ndarray, class_count: int) -> None:
        self.truth, self.ignored = without_ignored(truth)
        if self.ignored is not None:
            probability, predicted = probability.copy(), predicted.copy()
            probability[..., self.ignored] = predicted[self.ignored] = 0
        self.probability = probability
        self.predicted = predicted
        self.class_count = class_count
        self.tells_classes_apart = probability.ndim == 3

    def of_class(self, number: int) -> Comparison:
        """Return the comparison of class `number`, from 1 on.

        A model that knows one kind of foreground only is judged as if it meant this class.
        """
        if self.tells_classes_apart:
            probability, predicted = self.probability[number - 1], self.predicted == number
        else:
            probability, predicted = self.probability, self.predicted > 0
        return Comparison(probability, predicted, self.truth == number, self.ignored)

    @cached_property
    def foreground(self) -> Comparison:
        """The comparison of foreground of any class, which every model predicts."""
        probability = self.probability
        if self.tells_classes_apart:
            # Rounding may carry a sum past 1.
            probability = np.minimum(probability.sum(axis=0), 1)
        return Comparison(probability, self.predicted > 0, self.truth, self.ignored)

    @cached_property
    def _ignored_px(self) -> int:
        return 0 if self.ignored is None else int(np.count_nonzero(self.ignored))

    @cached_property
    def counts_by_class(self) -> np.ndarray:
        """The pixels of the background and of every class.

        A model that knows one kind of foreground only is judged as if that meant each class of the image's truth in
        turn, as `score` does.

        (4, K + 1) int64: pixels shared by prediction and truth, found, wanted, and all, of the background first.
        """
        ids = self.class_count + 1
        joint = np.bincount(self.truth.ravel().astype(np.intp) * ids + self.predicted.ravel(), minlength=ids * ids)
        joint = joint.reshape(ids, ids)  # by true and predicted id
        joint[0, 0] -= self._ignored_px
        shared, found, wanted = joint.diagonal().copy(), joint.sum(axis=0), joint.sum(axis=1)
        if self.class_count > 1 and not self.tells_classes_apart:
            present = wanted[1:] > 0
            shared[1:] = joint[1:, 1]
            found[1:] = present * joint[:, 1].sum()
        return np.stack([shared, found, wanted, np.full(ids, joint.sum())])

    @cached_property
    def reliability(self) -> np.ndarray:
        """The pixels by their probability of being foreground of any class, in bins of equal width.

        (3, RELIABILITY_BINS) float64: pixels, sum of their probabilities, how many are foreground. A bin holds its
        lower end; the last holds 1 too.
        """
        probability = self.foreground.probability.ravel()
        bins = np.minimum((probability * RELIABILITY_BINS).astype(np.intp), RELIABILITY_BINS - 1)
        counts = np.bincount(bins, minlength=RELIABILITY_BINS)
        counts[0] -= self._ignored_px
        sums = np.bincount(bins, weights=probability, minlength=RELIABILITY_BINS)
        return np.stack([counts, sums, np.bincount(bins[self.foreground.truth.ravel()], minlength=RELIABILITY_BINS)])
