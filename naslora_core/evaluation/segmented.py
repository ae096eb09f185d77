"""One image as a model sees it, beside its truth."""

import numpy as np

from naslora_core.evaluation.cached import Remembering
from naslora_core.evaluation.metrics.comparison import Comparison


class SegmentedImage(Remembering):
    """What a model says of an image, and what is there.

    Args:
        probability: (H, W) float in 0..1, or (K, H, W) of a model that tells K classes apart.
        predicted: (H, W) uint8, what was made of it: class ids, or 1 for foreground of any class.
        truth: (H, W) uint8 class ids.
        class_count: K, how many classes there are beside the background.

    Attributes:
        tells_classes_apart: whether `predicted` holds class ids.
    """

    def __init__(self, probability: np.ndarray, predicted: np.ndarray, truth: np.ndarray, class_count: int) -> None:
        super().__init__()
        self.probability = probability
        self.predicted = predicted
        self.truth = truth
        self.class_count = class_count
        self.tells_classes_apart = probability.ndim == 3

    def of_class(self, number: int) -> Comparison:
        """Return what there is of class `number`, from 1 on.

        A model that knows one kind of foreground only is judged as if it meant this class.
        """
        if self.tells_classes_apart:
            return Comparison(self.probability[number - 1], self.predicted == number, self.truth == number)
        return Comparison(self.probability, self.predicted > 0, self.truth == number)


def foreground(image: SegmentedImage) -> Comparison:
    """Return what there is of any class, which every model can be asked for."""
    probability = image.probability
    if image.tells_classes_apart:
        # Rounding may carry a sum past 1.
        probability = np.minimum(probability.sum(axis=0), 1)
    return Comparison(probability, image.predicted > 0, image.truth)
