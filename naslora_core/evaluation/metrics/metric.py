"""What a metric is, and the registry that holds them all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from naslora_core.registry import Registry

# probability (H, W) in 0..1, predicted (H, W) bool, mask (H, W) of 0 and 1 -> the value for this one image
Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """A number per image and class; a set of images scores the mean over its images.

    Args:
        title: how tables call it.
        higher_is_better: False for errors.
        definition: one sentence for readers of the report, with the value for two empty masks.
        measure: (probability (H, W) float in 0..1, predicted (H, W) bool, mask (H, W) of 0 and 1) -> float, where
            `predicted` is what was made of the probabilities. Measures that judge these do not look at it.
    """

    title: str
    higher_is_better: bool
    definition: str
    measure: Measure


METRICS: Registry[Metric] = Registry("metric")


def metric(name: str, title: str, definition: str, higher_is_better: bool = True) -> Callable[[Measure], Measure]:
    """Return a decorator that registers a measure as the metric `name`."""

    def add(measure: Measure) -> Measure:
        METRICS.register(name)(Metric(title, higher_is_better, definition, measure))
        return measure

    return add
