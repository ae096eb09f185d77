"""The pixel counts that Dice and IoU are made of."""

import numpy as np


def overlap_counts(probability: np.ndarray, mask: np.ndarray, threshold: float) -> tuple[int, int, int]:
    """Count the pixels of prediction and truth.

    A pixel is predicted where its probability exceeds the threshold, as SAM's `masks > mask_threshold`.

    Args:
        probability: (H, W) in 0..1.
        mask: (H, W) of 0 and 1.
        threshold: in 0..1.

    Returns:
        Pixels in both, pixels predicted, pixels in the mask.
    """
    predicted = probability > threshold
    truth = mask > 0
    return int(np.count_nonzero(predicted & truth)), int(predicted.sum()), int(truth.sum())
