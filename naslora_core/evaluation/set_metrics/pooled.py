"""The pixels of all images, counted by class."""

import numpy as np

from naslora_core.evaluation.metrics.overlap import Overlap
from naslora_core.evaluation.segmented import SegmentedImage


def pixel_counts(image: SegmentedImage) -> np.ndarray:
    """Count the pixels of one image by class, for the image's memory.

    A model that knows one kind of foreground only is judged as if that meant each class of the image's truth in
    turn, as `score` does.

    Returns:
        (4, K + 1) int64: pixels shared by prediction and truth, found, wanted, and all, of the background first.
    """
    ids = image.class_count + 1
    joint = np.bincount(image.truth.ravel().astype(np.intp) * ids + image.predicted.ravel(), minlength=ids * ids)
    joint = joint.reshape(ids, ids)  # by true and predicted id
    shared, found, wanted = joint.diagonal().copy(), joint.sum(axis=0), joint.sum(axis=1)
    if image.class_count > 1 and not image.tells_classes_apart:
        present = wanted[1:] > 0
        shared[1:] = joint[1:, 1]
        found[1:] = present * joint[:, 1].sum()
    return np.stack([shared, found, wanted, np.full(ids, joint.sum())])


class PooledCounts:
    """Sums of pixel counts over the images of a set.

    Args:
        class_count: K, how many classes there are beside the background.
    """

    def __init__(self, class_count: int) -> None:
        self._counts = np.zeros((4, class_count + 1), dtype=np.int64)

    def add(self, image: SegmentedImage) -> None:
        """Count the pixels of one more image."""
        self._counts += image.shared(pixel_counts)

    def all_ids(self) -> Overlap:
        """Return the counts of background and classes, arrays of (K + 1,)."""
        return Overlap(*self._counts)

    def classes(self) -> Overlap:
        """Return the counts of the classes without the background, arrays of (K,)."""
        return Overlap(*self._counts[:, 1:])


def mean_where(values: np.ndarray, counts: np.ndarray) -> float:
    """Return the mean of the values whose count is not zero; of all, if every count is."""
    return float(values[counts > 0].mean() if counts.any() else values.mean())
