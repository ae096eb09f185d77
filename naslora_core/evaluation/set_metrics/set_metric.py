"""What a metric of a whole set is, and the registry that holds them all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from naslora_core.evaluation.segmented import SegmentedImage
from naslora_core.registry import Registry


class SetMeasure(Protocol):
    """Looks at one image after the other and remembers sums, never images."""

    def add(self, image: SegmentedImage) -> None:
        """Take one more image into account."""
        ...

    def value(self) -> float:
        """Return the metric of all images so far, of which there is at least one."""
        ...


@dataclass(frozen=True)
class SetMetric:
    """A number for a set of images that is no mean over them: pixels of all images count alike.

    Args:
        title: how tables call it; says "of the set", where there is a metric per image of the same name.
        higher_is_better: False for errors.
        definition: one sentence for readers of the report.
        start: returns a measure that has seen no image; takes the number of classes beside the background.
    """

    title: str
    higher_is_better: bool
    definition: str
    start: Callable[[int], SetMeasure]


SET_METRICS: Registry[SetMetric] = Registry("set metric")

Start = Callable[[int], SetMeasure]


def set_metric(name: str, title: str, definition: str, higher_is_better: bool = True) -> Callable[[Start], Start]:
    """Return a decorator that registers what starts a measure, as its class, as the set metric `name`."""

    def add(start: Start) -> Start:
        SET_METRICS.register(name)(SetMetric(title, higher_is_better, definition, start))
        return start

    return add
