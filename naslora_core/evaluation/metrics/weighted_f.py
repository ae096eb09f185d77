"""Weighted F-measure: precision and recall that tell near misses from far (Margolin et al., CVPR 2014)."""

import numpy as np
from py_sod_metrics import WeightedFmeasure

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.saliency import prepare

_BETAS_SQUARED = (1.0, 0.3)


@metric(
    "weighted_f_b1",
    title="Weighted F (β²=1)",
    definition="Weighted F-measure with β² = 1, as in the camouflage literature (Margolin et al. 2014); "
    "for an empty truth 1 if nothing exceeds the threshold, else 0.",
)
def weighted_f_b1(comparison: Comparison) -> float:
    """Return the weighted F-measure with beta squared = 1, 0..1, PySODMetrics' own choice.

    Two empty masks score 1. Aggregated as the mean over images.
    """
    return comparison.shared(_weighted_f)[0]


@metric(
    "weighted_f_b03",
    title="Weighted F (β²=0.3)",
    definition="Weighted F-measure with β² = 0.3, the F-measure of Conv-LoRA's tables; "
    "for an empty truth 1 if nothing exceeds the threshold, else 0.",
)
def weighted_f_b03(comparison: Comparison) -> float:
    """Return the weighted F-measure with beta squared = 0.3, 0..1, as AutoGluon computes its "fm".

    Two empty masks score 1. Aggregated as the mean over images.
    """
    return comparison.shared(_weighted_f)[1]


def _weighted_f(comparison: Comparison) -> tuple[float, ...]:
    """Return the weighted F-measure for each of `_BETAS_SQUARED`."""
    prediction, truth = comparison.shared(prepare)
    if not truth.any():
        # Upstream gives 0 even to a perfect empty prediction.
        return (float(not comparison.predicted.any()),) * len(_BETAS_SQUARED)
    # PySODMetrics calls it beta; in its formula, the last step of a long computation, it stands where beta squared
    # belongs. An array there gives both measures for the price of one.
    measure = WeightedFmeasure(beta=np.array(_BETAS_SQUARED))
    measure.step(prediction, truth, normalize=False)
    return tuple(measure.weighted_fms[0].tolist())
