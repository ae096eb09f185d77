"""The pixel counts that Dice and IoU are made of."""

import numpy as np


def overlap_counts(predicted: np.ndarray, mask: np.ndarray) -> tuple[int, int, int]:
    """Count the pixels of prediction and truth.

    Args:
        predicted: (H, W) bool.
        mask: (H, W) of 0 and 1.

    Returns:
        Pixels in both, pixels predicted, pixels in the mask.
    """
    truth = mask > 0
    return int(np.count_nonzero(predicted & truth)), int(predicted.sum()), int(truth.sum())
