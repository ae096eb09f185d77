"""From probabilities to the class of every pixel."""

import numpy as np


def decide(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Return what a model says every pixel is.

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
