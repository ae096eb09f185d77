"""Weighted F-measure: precision and recall that tell near misses from far (Margolin et al., CVPR 2014)."""

import numpy as np
from py_sod_metrics import WeightedFmeasure

from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.saliency import prepare


@metric(
    "weighted_f_b1",
    title="Weighted F (β²=1)",
    definition="Weighted F-measure with β² = 1, as in the camouflage literature (Margolin et al. 2014); "
    "for an empty truth 1 if nothing exceeds the threshold, else 0.",
)
def weighted_f_b1(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return the weighted F-measure with beta squared = 1, 0..1, PySODMetrics' own choice.

    Two empty masks score 1. Aggregated as the mean over images.
    """
    return _weighted_f(probability, predicted, mask, beta_squared=1.0)


@metric(
    "weighted_f_b03",
    title="Weighted F (β²=0.3)",
    definition="Weighted F-measure with β² = 0.3, the F-measure of Conv-LoRA's tables; "
    "for an empty truth 1 if nothing exceeds the threshold, else 0.",
)
def weighted_f_b03(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return the weighted F-measure with beta squared = 0.3, 0..1, as AutoGluon computes its "fm".

    Two empty masks score 1. Aggregated as the mean over images.
    """
    return _weighted_f(probability, predicted, mask, beta_squared=0.3)


def _weighted_f(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray, beta_squared: float) -> float:
    prediction, truth = prepare(probability, mask)
    if not truth.any():
        # Upstream gives 0 even to a perfect empty prediction.
        return float(not predicted.any())
    # PySODMetrics calls it beta; in its formula it stands where beta squared belongs.
    measure = WeightedFmeasure(beta=beta_squared)
    measure.step(prediction, truth, normalize=False)
    return float(measure.weighted_fms[0])
