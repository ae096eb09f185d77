"""How well one image was segmented: by class where there are several, then as the mean over its classes."""

import math
from collections.abc import Sequence

import numpy as np

from naslora_core.evaluation.metrics import METRICS

# Of these every class has a column of its own, "dice_<class>".
BY_CLASS = ("dice", "iou")


def score(
    probability: np.ndarray, predicted: np.ndarray, truth: np.ndarray, classes: Sequence[str]
) -> dict[str, float]:
    """Score one image.

    Of several classes each is judged against all the rest, and those count that its truth or its prediction
    contains; if there are none at all, every class does, as one that is rightly absent. A model that knows one kind
    of foreground only is judged as if that meant each class of the truth in turn: more than it can say.

    Args:
        probability: (H, W), or (K, H, W) of a model that tells the classes apart.
        predicted: (H, W) uint8, what was made of it.
        truth: (H, W) uint8 class ids.
        classes: names of the ids from 1 on.

    Returns:
        Every metric by name, means over the classes; of several classes then those of `BY_CLASS` by class, as
        "dice_<class>", NaN where the class does not count.
    """
    if len(classes) == 1:
        return _measure(probability, predicted > 0, truth > 0)
    tells_apart = probability.ndim == 3
    found = np.union1d(truth, predicted) if tells_apart else np.unique(truth)
    present = [int(number) for number in found if number]
    of_class = {
        number: _measure(probability[number - 1], predicted == number, truth == number)
        if tells_apart
        else _measure(probability, predicted > 0, truth == number)
        for number in present or range(1, len(classes) + 1)
    }
    means = {name: float(np.mean([scores[name] for scores in of_class.values()])) for name in METRICS}
    return means | {
        column_of(name, title): of_class[number][name] if number in present else math.nan
        for name in BY_CLASS
        for number, title in enumerate(classes, start=1)
    }


def column_of(metric: str, class_name: str) -> str:
    """Return the column of one class's metric."""
    return f"{metric}_{class_name}"


def _measure(probability: np.ndarray, predicted: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return {name: METRICS[name].measure(probability, predicted, mask) for name in METRICS}
