"""Pixels that nobody labelled, as everything that reads class ids leaves them out."""

import numpy as np

from naslora_core.data.dataset.card import IGNORED_ID


def is_foreground(ids: np.ndarray) -> np.ndarray:
    """Return which pixels of class ids (H, W) uint8 are of any class, (H, W) bool."""
    return (ids > 0) & (ids != IGNORED_ID)


def without_ignored(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return class ids (H, W) uint8 with the background where nobody labelled, and where that is.

    Returns:
        The ids, which are the given ones if every pixel is labelled, and (H, W) bool, None if every pixel is.
    """
    ignored = ids == IGNORED_ID
    if not ignored.any():
        return ids, None
    return np.where(ignored, 0, ids).astype(np.uint8), ignored


def foreground_share(ids: np.ndarray) -> float:
    """Return the share of the labelled pixels that is of any class, 0..1; 0 if nothing is labelled."""
    labelled = ids.size - np.count_nonzero(ids == IGNORED_ID)
    return np.count_nonzero(is_foreground(ids)) / labelled if labelled else 0.0
