"""S-measure: has the prediction the structure of the truth (Fan et al., ICCV 2017)."""

import numpy as np
from py_sod_metrics import Smeasure

from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.saliency import prepare


class _BorderSafeSmeasure(Smeasure):
    """PySODMetrics' S-measure, defined also where the object lies at the last row or column.

    There a quadrant has no pixels and no weight, but its score is 0/0 upstream, and 0 * NaN is NaN.
    """

    def ssim(self, pred: np.ndarray, gt: np.ndarray) -> float:
        return float(super().ssim(pred, gt)) if pred.size else 0.0


@metric(
    "s_measure",
    title="S-measure",
    definition="Structural similarity of the probabilities and the truth, half by object and half by region "
    "(Fan et al. 2017); for an empty truth one minus the mean probability, so 1 if both are empty.",
)
def s_measure(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return 0.5 * object similarity + 0.5 * region similarity, 0..1; looks at the probabilities alone.

    Two empty masks score 1 - mean(probability), which is 1 for a prediction of zeros.
    Aggregated as the mean over images; it is S-alpha of the Conv-LoRA tables (alpha = 0.5).
    """
    prediction, truth = prepare(probability, mask)
    measure = _BorderSafeSmeasure(alpha=0.5)
    measure.step(prediction, truth, normalize=False)
    return float(measure.sms[0])
