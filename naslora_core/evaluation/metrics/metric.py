"""What a metric is, and the registry that holds them all."""

from collections.abc import Callable
from dataclasses import dataclass

from naslora_core.evaluation.metrics.comparison import Comparison
from naslora_core.registry import Registry

Measure = Callable[[Comparison], float]


@dataclass(frozen=True)
class Metric:
    """A number per image and class; a set of images scores the mean over its images.

    Args:
        title: how tables call it.
        higher_is_better: False for errors.
        definition: one sentence for readers of the report, with the value for empty masks.
        measure: of one class of one image; looks at the probabilities, or at what was made of them.
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
