"""MAE: how far the probabilities are from the truth, pixel by pixel."""

import numpy as np

from naslora_core.evaluation.metrics.metric import metric
from naslora_core.evaluation.metrics.saliency import prepare


@metric(
    "mae",
    title="MAE",
    definition="Mean absolute difference over all pixels between the truth and the probabilities, these "
    "stretched to 0 to 1 as in the saliency literature; 0 if both are empty.",
    higher_is_better=False,
)
def mae(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> float:
    """Return mean |stretched probability - truth|, 0..1, lower is better; looks at the probabilities alone.

    Two empty masks score the mean probability, 0 for a prediction of zeros.
    Aggregated as the mean over images.
    """
    prediction, truth = prepare(probability, mask)
    return float(np.mean(np.abs(prediction - truth)))
