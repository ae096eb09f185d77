"""HD95: how far apart the outlines of prediction and truth are, the worst twentieth set aside."""

import cv2
import numpy as np

from naslora_core.evaluation.metrics.boundary import bounding_box, pixels_to
from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric

_PERCENTILE = 95
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@metric(
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
    infinity or NaN there. Aggregated as the mean over images; sizes differ, so it compares models, not datasets.
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
