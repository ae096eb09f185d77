"""The metrics of one image: by class where there are several, then as the mean over its classes."""

import math
from collections.abc import Sequence

import numpy as np

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import Comparison, SegmentedImage

# Of these every class has a column of its own, "dice_<class>".
BY_CLASS = ("dice", "iou")


def score(image: SegmentedImage, classes: Sequence[str]) -> dict[str, float]:
    """Score one image.

    Of several classes each is judged against all the rest, and those count that its truth or its prediction
    contains; if there are none at all, every class does, as one that is rightly absent. A model that knows one kind
    of foreground only is judged as if that meant each class of the truth in turn: more than it can say.

    Args:
        image: prediction and truth.
        classes: names of the ids from 1 on.

    Returns:
        Every metric by name, means over the classes; of several classes then those of `BY_CLASS` by class, as
        "dice_<class>", NaN where the class does not count.
    """
    if len(classes) == 1:
        return _measure(image.foreground)
    found = np.union1d(image.truth, image.predicted) if image.tells_classes_apart else np.unique(image.truth)
    present = [int(number) for number in found if number]
    of_class = {number: _measure(image.of_class(number)) for number in present or range(1, len(classes) + 1)}
    means = {name: float(np.mean([scores[name] for scores in of_class.values()])) for name in METRICS}
    return means | {
        column_of(name, title): of_class[number][name] if number in present else math.nan
        for name in BY_CLASS
        for number, title in enumerate(classes, start=1)
    }


def column_of(metric: str, class_name: str) -> str:
    """Return the column of one class's metric."""
    return f"{metric}_{class_name}"


def _measure(comparison: Comparison) -> dict[str, float]:
    return {name: METRICS[name].measure(comparison) for name in METRICS}
