"""Boundary metrics: HD95 and boundary IoU, which do not depend on the area of an object, and their geometry."""

import math

import cv2
import numpy as np

from naslora_core.evaluation.metrics.metric import METRICS
from naslora_core.evaluation.segmented import Comparison

_PERCENTILE = 95
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_DILATION_RATIO = 0.02


@METRICS.define(
    "hd95",
    title="HD95 (px)",
    definition="95th percentile of the distances from the outline of one mask to that of the other, in pixels at the "
    "image's own size, the larger of both directions; 0 if both are empty, the image's diagonal if one is.",
    higher_is_better=False,
)
def hd95(comparison: Comparison) -> float:
    """Return the 95 % Hausdorff distance in pixels, 0 to the image's diagonal; lower is better.

    An outline are the pixels of a mask with one of their four neighbours outside; so is a pixel at the image's edge.
    Two empty masks score 0. If one is empty no distance exists, and the image's diagonal stands for it: more than any
    two pixels of the image can be apart, so that finding nothing is never better than finding something, and the mean
    stays finite and is one over all images. As MONAI's `HausdorffDistanceMetric(percentile=95)`, which gives
    infinity or NaN there. Pixels that nobody labelled count as outside of both masks. Aggregated as the mean over
    images; sizes differ, so it compares models, not datasets.
    """
    predicted, truth = comparison.predicted, comparison.truth
    found, wanted = predicted.any(), truth.any()
    if not (found and wanted):
        return float(np.hypot(*truth.shape)) if found or wanted else 0.0
    # No outline lies outside, and what is cut off was background: a mask ends at the rectangle's edge either way.
    where = bounding_box(predicted | truth)
    ours, theirs = (_outline(mask[where]) for mask in (predicted, truth))
    there_and_back = pixels_to(theirs)[ours], pixels_to(ours)[theirs]
    return float(max(np.percentile(distances.astype(np.float64), _PERCENTILE) for distances in there_and_back))


def _outline(mask: np.ndarray) -> np.ndarray:
    inside = cv2.erode(mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (inside == 0)


@METRICS.define(
    "boundary_iou",
    title="Boundary IoU",
    definition="IoU of the pixels of prediction and of truth that lie within 2 % of the image's diagonal of their own "
    "outline (Cheng et al. 2021); 1 if both are empty, 0 if one is.",
)
def boundary_iou(comparison: Comparison) -> float:
    """Return the IoU of the bands inside both outlines, 0..1 (Cheng et al., CVPR 2021).

    A band is what eroding a mask by a 3 x 3 square removes, as many times as 2 % of the diagonal are whole pixels,
    at least once; beyond the image, and where nobody labelled, there is background. Two empty masks score 1.
    Aggregated as the mean over images. Source: arXiv:2103.16562, Eq. (2) and the authors' `mask_to_boundary`.
    """
    predicted, truth = comparison.predicted, comparison.truth
    found, wanted = predicted.any(), truth.any()
    if not (found and wanted):
        return float(found == wanted)
    width_px = max(1, round(_DILATION_RATIO * math.hypot(*truth.shape)))
    where = bounding_box(predicted | truth)
    ours, theirs = (_band(mask[where], width_px) for mask in (predicted, truth))
    return float(np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs))


def _band(mask: np.ndarray, width_px: int) -> np.ndarray:
    """Return the pixels of a mask within a number of steps of a pixel outside it."""
    depth = steps_to(np.pad(~mask, 1, constant_values=True))[1:-1, 1:-1]
    return mask & (depth <= width_px)


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
    """Return the chessboard distance from every pixel to the nearest pixel of a mask.

    This is the chessboard distance: n rounds of dilating the mask by a 3 x 3 square reach what is within n steps.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        (H, W) float32, whole numbers; 0 in the mask.
    """
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_C, 3)


def pixels_to(mask: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance, in pixels, from every pixel to the nearest pixel of a mask.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        (H, W) float32, exact but for rounding; 0 in the mask.
    """
    return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
