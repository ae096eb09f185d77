"""Geometry that boundary metrics share: what to look at, and how far a pixel is from the edge."""

import cv2
import numpy as np


def bounding_box(mask: np.ndarray, margin_px: int = 0) -> tuple[slice, slice]:
    """Return rows and columns of the smallest rectangle with all of a mask.

    Args:
        mask: (H, W) bool, not empty.
        margin_px: by which the rectangle is wider on every side, as far as the image goes.
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(0, top - margin_px), top + height + margin_px)
    return rows, slice(max(0, left - margin_px), left + width + margin_px)


def steps_to(mask: np.ndarray) -> np.ndarray:
    """Return how many steps, straight or diagonal, every pixel is from the nearest pixel of a mask.

    This is the chessboard distance: n rounds of dilating the mask by a 3 x 3 square reach what is within n steps.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        (H, W) float32, whole numbers; 0 in the mask.
    """
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_C, 3)


def pixels_to(mask: np.ndarray) -> np.ndarray:
    """Return the distance, in pixels, from every pixel to the nearest pixel of a mask.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        (H, W) float32, exact but for rounding; 0 in the mask.
    """
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
