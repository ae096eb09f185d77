"""The preparation that S-measure, E-measure, weighted F and MAE share in the literature."""

import numpy as np

from naslora_core.evaluation.metrics.comparison import Comparison


def prepare(comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Turn a prediction into what the published evaluations of these metrics look at.

    They store it as 8-bit grey levels and stretch those to 0..1. Rounding comes first here too: without it
    the numerical noise of a constant prediction would be stretched to full contrast.
    Deviation: where the truth is empty nothing is stretched, because the faintest response
    would become a certain one and a near-perfect prediction would score like a bad one.

    Returns:
        (H, W) float64 in 0..1 and (H, W) bool. A constant prediction keeps its value.
    """
    prediction = np.rint(comparison.probability.astype(np.float64) * 255) / 255
    truth = comparison.truth
    low, high = prediction.min(), prediction.max()
    if truth.any() and high > low:
        prediction = (prediction - low) / (high - low)
    return prediction, truth
