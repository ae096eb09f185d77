"""The interface of sample domains, and their registry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from naslora_core.registry import Registry

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class SampleDomain:
    """A generated dataset.

    `draw` returns (H, W, 3) uint8 RGB and (H, W) uint8 0/1, the same for the same generator; sizes vary.
    """

    title: str
    class_name: str
    draw: Draw


SAMPLE_DOMAINS: Registry[SampleDomain] = Registry("sample domain")


def sample_domain(name: str, title: str, class_name: str) -> Callable[[Draw], Draw]:
    """Return a decorator that registers a drawing function as the sample domain called `name`."""

    def add(draw: Draw) -> Draw:
        SAMPLE_DOMAINS.register(name)(SampleDomain(title, class_name, draw))
        return draw

    return add
