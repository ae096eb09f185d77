"""The description of a metric, and the registries of those per image and those of a whole set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from naslora_core.evaluation.segmented import Comparison
from naslora_core.registry import Registry

Measure = TypeVar("Measure")


@dataclass(frozen=True)
class Metric(Generic[Measure]):
    """A metric: its title, direction, definition and measure.

    Args:
        title: how tables call it; of a set metric it says "of the set", where there is one per image of the same name.
        higher_is_better: False for errors.
        definition: one sentence for readers of the report, with the value for empty masks.
        measure: computes it; see `METRICS` and `SET_METRICS`.
    """

    title: str
    higher_is_better: bool
    definition: str
    measure: Measure


class MetricRegistry(Registry[Metric[Measure]]):
    """A registry of metrics, whose decorator takes their title, direction and definition."""

    def define(
        self, name: str, title: str, definition: str, higher_is_better: bool = True
    ) -> Callable[[Measure], Measure]:
        """Return a decorator that registers a function, or a class, as the measure of metric `name`.

        Raises:
            ConfigError: if the name is taken.
        """

        def add(measure: Measure) -> Measure:
            self.register(name)(Metric(title, higher_is_better, definition, measure))
            return measure

        return add


# A number per image and class, from the probabilities or from what was made of them; a set of images scores the mean.
METRICS: MetricRegistry[Callable[[Comparison], float]] = MetricRegistry("metric")
