"""Metrics for thin structures: clDice of centrelines, and precision, recall and F1 that forgive two pixels.

A line drawn a pixel beside the annotator's loses half of its Dice although nothing is missing. These ask whether the
line is there. All are 0..1, and aggregated as the mean over images; where nobody labelled, masks end.
"""

import math

import cv2
import numpy as np
from skimage.morphology import skeletonize

from naslora_core.evaluation.metrics.boundary import bounding_box
from naslora_core.evaluation.metrics.metric import METRICS
from naslora_core.evaluation.segmented import Comparison

TOLERANCE_PX = 2
# An object whose middle is deeper than this, so one more than 64 px thick, is no line. It is thinned on every n-th
# pixel, because thinning takes a pass over the object for each pixel of depth.
DEEPEST_PX = 32
_OFFSETS = np.arange(-TOLERANCE_PX, TOLERANCE_PX + 1)
_WITHIN_REACH = (_OFFSETS[:, None] ** 2 + _OFFSETS**2 <= TOLERANCE_PX**2).astype(np.uint8)


@METRICS.define(
    "cl_dice",
    title="clDice",
    definition="How much of the prediction's centreline lies in the truth and of the truth's in the prediction, their "
    "harmonic mean (Shit et al. 2021): breaks and false branches cost by their length, width hardly "
    "counts; 1 if both are empty, 0 if one is.",
)
def cl_dice(comparison: Comparison) -> float:
    """Return the harmonic mean of topology precision and sensitivity, 0..1 (Shit et al., CVPR 2021).

    Topology precision is |S(P) and T| / |S(P)|, sensitivity |S(T) and P| / |S(T)|, where S is the skeleton: that of
    scikit-image's `skeletonize` (Zhang and Suen 1984). Two empty masks score 1, one empty mask 0. Deviation: an object
    more than 64 px thick has the skeleton of every n-th of its pixels, each counting n, with the n that makes it
    thinner than that. Source: arXiv:2003.07311, section 2.
    """
    predicted, truth = comparison.predicted, comparison.truth
    found, wanted = predicted.any(), truth.any()
    if not (found and wanted):
        return float(found == wanted)
    return _harmonic_mean(_centreline_share(predicted, truth), _centreline_share(truth, predicted))


@METRICS.define(
    "precision_2px",
    title="Precision (2 px)",
    definition="Share of the predicted pixels that lie within 2 px of a true one; 1 if both are empty, 0 if one is.",
)
def precision_2px(comparison: Comparison) -> float:
    """Return the share of predicted pixels with a true one within 2 px (Euclidean).

    As papers on road cracks report; two empty masks score 1, one empty mask 0.
    """
    return _share_within_reach(comparison.predicted, comparison.truth)


@METRICS.define(
    "recall_2px",
    title="Recall (2 px)",
    definition="Share of the true pixels that lie within 2 px of a predicted one; 1 if both are empty, 0 if one is.",
)
def recall_2px(comparison: Comparison) -> float:
    """Return the share of true pixels with a predicted one within 2 px (Euclidean).

    Two empty masks score 1, one empty mask 0.
    """
    return _share_within_reach(comparison.truth, comparison.predicted)


@METRICS.define(
    "f1_2px",
    title="F1 (2 px)",
    definition="Harmonic mean of precision and recall that forgive 2 px; 1 if both masks are empty, 0 if one is.",
)
def f1_2px(comparison: Comparison) -> float:
    """Return 2PR / (P + R) of `precision_2px` and `recall_2px`, 0 where both are.

    The mean over images is not the F1 of the two means.
    """
    return _harmonic_mean(precision_2px(comparison), recall_2px(comparison))


def _harmonic_mean(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def _share_within_reach(mask: np.ndarray, other: np.ndarray) -> float:
    if not (mask.any() and other.any()):
        return float(mask.any() == other.any())
    where = bounding_box(mask, TOLERANCE_PX)
    # What is within a fixed distance is a dilation by a disc, a tenth of the time of the distances themselves.
    near = cv2.dilate(other[where].view(np.uint8), _WITHIN_REACH) > 0
    return float(np.count_nonzero(mask[where] & near) / np.count_nonzero(mask))


def _centreline_share(mask: np.ndarray, other: np.ndarray) -> float:
    """Return which share of a mask's skeleton lies in another mask; (H, W) bool, the first not empty."""
    where = bounding_box(mask)
    mask, other = mask[where], other[where]
    depth = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    inside = total = 0
    if depth.max() > DEEPEST_PX:
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
        is_thick = np.bincount(labels[depth > DEEPEST_PX], minlength=count) > 0
        for label in np.flatnonzero(is_thick):
            left, top, width, height = boxes[label, :4]
            box = slice(top, top + height), slice(left, left + width)
            piece = labels[box] == label
            step = math.ceil(depth[box][piece].max() / DEEPEST_PX)
            every = (slice(step // 2, None, step),) * 2
            skeleton = skeletonize(piece[every])
            inside += step * np.count_nonzero(skeleton & other[box][every])
            total += step * np.count_nonzero(skeleton)
        mask = mask & ~is_thick[labels]
    skeleton = skeletonize(mask)
    inside += np.count_nonzero(skeleton & other)
    total += np.count_nonzero(skeleton)
    return float(inside / total)
