"""What a metric of one image looks at: the prediction of one class beside the truth."""

import numpy as np

from naslora_core.evaluation.cached import Remembering


class Comparison(Remembering):
    """One class of one image, against all the rest.

    Args:
        probability: (H, W) float in 0..1, that a pixel is of the class.
        predicted: (H, W) bool, what was made of the probabilities.
        mask: (H, W) of 0 and 1, the truth.
    """

    def __init__(self, probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> None:
        super().__init__()
        self.probability = probability
        self.predicted = predicted
        self.truth = mask > 0
