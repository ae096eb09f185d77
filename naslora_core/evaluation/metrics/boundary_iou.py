"""Boundary IoU: IoU of the bands along both outlines, which large objects cannot hide (Cheng et al., CVPR 2021)."""

import math

import numpy as np

from naslora_core.evaluation.metrics.boundary import bounding_box, steps_to
from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric

_DILATION_RATIO = 0.02


@metric(
    "boundary_iou",
    title="Boundary IoU",
    definition="IoU of the pixels of prediction and of truth that lie within 2 % of the image's diagonal of their own "
    "outline (Cheng et al. 2021); 1 if both are empty, 0 if one is.",
)
def boundary_iou(comparison: Comparison) -> float:
    """Return the IoU of the inner boundary bands, 0..1.

    A band is what eroding a mask by a 3 x 3 square removes, as many times as 2 % of the diagonal are whole pixels,
    at least once; beyond the image there is background. Two empty masks score 1.
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
    """Return the pixels of a mask that are at most so many steps from a pixel outside it."""
    depth = steps_to(np.pad(~mask, 1, constant_values=True))[1:-1, 1:-1]
    return mask & (depth <= width_px)
