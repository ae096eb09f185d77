"""E-measure: agreement of prediction and truth, by pixel and as a whole (Fan et al., IJCAI 2018)."""

import numpy as np
from py_sod_metrics import Emeasure

from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.saliency import prepare


@metric(
    "e_measure",
    title="E-measure",
    definition="Enhanced alignment of the thresholded prediction and the truth, mean over 256 thresholds "
    "(Fan et al. 2018); at threshold 0 everything is foreground, so even a perfect prediction scores "
    "a little less than 1, and two empty masks about 0.996.",
)
def e_measure(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean of the E-measure curve, 0..1; looks at the probabilities alone.

    Two empty masks of N pixels score 255/256 * N / (N - 1), as the measure divides by N - 1.
    Aggregated as the mean over images; it is the E-phi of the Conv-LoRA tables.
    """
    prediction, truth = prepare(probability, mask)
    measure = Emeasure()
    measure.step(prediction, truth, normalize=False)
    return float(np.mean(measure.changeable_ems[0]))
