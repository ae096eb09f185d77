"""What an architecture costs at inference after merging, over the base: an estimate that is the same on every machine.

Arithmetic alone would call every branch free: on eight channels it is a hundredth of the layer's own. What counts is
that narrow products use a processor badly, and that each call of one takes a time of its own. Both are constants here,
fitted once to measurements (docs/method.md, "What a choice costs"); nothing is measured while a search runs, so that it
finds the same anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from naslora_core.adapters.budget.architecture import Architecture, LayerChoice
from naslora_core.geometry.token_grid import TokenGrid
from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive, Primitive
from naslora_core.ops.frequency import WAVES

# How many times slower a multiplication is in a product of `rank` channels than in one of the layer's own.
NARROW = 1.0
# The calls of a branch, in multiplications of the layer's own products: of a convolution, and of a frequency filter.
CALLS, FILTER_CALLS = 7e6, 11e6


@dataclass(frozen=True)
class InferenceCost:
    """Estimates inference time after merging, for an image encoder at its own image size.

    Args:
        base: multiplications of the encoder for an image.
        tokens: of an image, in the grid that a layer sees.
    """

    base: float
    tokens: int = 0

    @classmethod
    def of(cls, encoder: nn.Module) -> "InferenceCost":
        """Count an image encoder's multiplications."""
        described: Any = encoder
        return cls(described.multiplications())

    def at(self, grid: TokenGrid) -> "InferenceCost":
        """Return what choices of a layer cost that sees the tokens of `grid`."""
        return replace(self, tokens=grid.side**2)

    def added(self, operation: str, rank: int, in_features: int, out_features: int) -> float:
        """Return by what share of the base's time a layer is slower.

        Args:
            operation: of the layer; one that merges into the weight is free.
            rank: 0 is no branch.
            in_features: channels of the layer's input.
            out_features: of its outputs that have a rank.
        """
        if rank == 0 or is_exact(operation):
            return 0.0
        products = self.tokens * rank * (in_features + out_features + multiplications(operation, rank))
        return (NARROW * products + (FILTER_CALLS if operation == "dct_filter" else CALLS)) / self.base


@dataclass(frozen=True)
class Limits:
    """What all layers together may cost: time over the base's, 0.02 for a budget of 1.02; and parameters."""

    time: float
    parameters: float


@dataclass(frozen=True)
class LayerCosts:
    """What the choices of a layer cost.

    Args:
        inference: of the encoder.
        in_features: of the layer.
        out_features: of the layer.
        sections: its projections.
        space: the operations to choose from.
        levels: the ranks to choose from, rising from 0.
    """

    inference: InferenceCost
    in_features: int
    out_features: int
    sections: tuple[str, ...]
    space: tuple[str, ...]
    levels: tuple[int, ...]

    def time(self, choice: LayerChoice) -> float:
        """Return by what share of the base's time the layer is slower."""
        return self.inference.added(choice.operation, choice.rank, self.in_features, self.out_features)

    def parameters(self, choice: LayerChoice) -> int:
        """Return how many numbers the layer trains."""
        of_operation = operation_parameters(choice.operation, choice.rank) if choice.rank else 0
        return choice.parameters(self.in_features, self.out_features, of_operation)

    def per_rank(self) -> float:
        """Return the parameters of one more rank of a projection, with its part of the shared down-projection."""
        return (self.in_features + self.out_features) / len(self.sections)

    def below(self, rank: int) -> int:
        """Return the next lower rank."""
        return max(level for level in self.levels if level < rank)

    @property
    def free(self) -> str:
        """The first operation that costs no time."""
        return next(name for name in self.space if is_exact(name))

    @property
    def first_paid(self) -> str:
        """The first operation that costs time; the free one if none does."""
        return next((name for name in self.space if not is_exact(name)), self.free)


def spent(architecture: Architecture, costs: Mapping[str, LayerCosts]) -> Limits:
    """Return what an architecture costs: time over the base's, and parameters."""
    choices = [(costs[name], choice) for name, choice in architecture.items()]
    return Limits(
        sum(own.time(choice) for own, choice in choices), sum(own.parameters(choice) for own, choice in choices)
    )


def fits(architecture: Architecture, costs: Mapping[str, LayerCosts], limits: Limits) -> bool:
    """Return whether an architecture keeps both limits."""
    cost = spent(architecture, costs)
    return cost.time <= limits.time and cost.parameters <= limits.parameters


@lru_cache(maxsize=512)
def operation_parameters(operation: str, rank: int) -> int:
    """Return how many numbers an operation on `rank` channels trains."""
    return sum(weight.numel() for weight in _example(operation, rank).parameters())


@lru_cache(maxsize=512)
def is_exact(operation: str) -> bool:
    """Return whether an operation becomes part of a layer's weight: pointwise ones, and scaled singular values."""
    return operation == "singular_values" or isinstance(_example(operation, 1), PointwisePrimitive)


@lru_cache(maxsize=512)
def multiplications(operation: str, rank: int) -> int:
    """Return the multiplications of an operation for a channel of a token."""
    example = _example(operation, rank)
    if isinstance(example, LinearPrimitive):
        return example.taps().shape[-1] ** 2 * rank
    return 4 * WAVES if operation == "dct_filter" else 9 * rank


def _example(operation: str, channels: int) -> Primitive:
    """Return an operation to look at. It draws no random numbers, of which a training's own would then be others."""
    with torch.random.fork_rng(devices=[]):
        return OPS[operation](channels)
