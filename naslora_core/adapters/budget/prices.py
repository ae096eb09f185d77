"""Prices of time and parameters: what they make of the shares, and the lowest ones that keep a budget.

All layers pay the same price for a unit of time, and one for a parameter: of two choices that gain as much, the cheaper
one wins, wherever it is. A choice's share falls with the price, so that the price which keeps a limit is found by
bisection (Lagrange's multiplier of a knapsack).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# By layer: (operations,) and (projections, ranks).
Alphas = Sequence[np.ndarray]
# Of a unit of time (the base's), and of a parameter.
Prices = tuple[float, float]
# By layer: the place of the operation, and those of the ranks.
Places = list[tuple[int, list[int]]]
_HALVINGS = 50


@dataclass(frozen=True)
class Limits:
    """What all layers together may cost: time over the base's, 0.02 for 1.02; and parameters."""

    time: float
    parameters: float

    def towards(self, time: float, parameters: float, progress: float) -> "Limits":
        """Return the limits on the way from what is spent without any to these; `progress` runs from 0 to 1."""
        way = min(1.0, progress)
        own = (self.time, self.parameters)
        return Limits(*(max(limit, free + way * (limit - free)) if free > limit else limit
                        for free, limit in zip((time, parameters), own, strict=True)))  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """What the choices of every layer cost.

    Args:
        times: by layer and operation, at the largest rank, (operations,).
        parameters: by layer, projection and rank, (projections, ranks).
    """

    times: Alphas
    parameters: Alphas

    def tolls(self, prices: Prices) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return what prices take off the alphas of operations and of ranks."""
        return [prices[0] * times for times in self.times], [prices[1] * each for each in self.parameters]


@dataclass(frozen=True)
class Spent:
    """What shares of choices cost on average."""

    time: float
    parameters: float


def shares(ops: Alphas, ranks: Alphas, costs: Costs, prices: Prices, temperature: float) -> Spent:
    """Return what is spent on average at some prices; a layer whose projections all have rank 0 costs no time."""
    time = parameters = 0.0
    for own_ops, own_ranks, times, sizes in zip(ops, ranks, costs.times, costs.parameters, strict=True):
        of_ranks = _softmax((own_ranks - prices[1] * sizes) / temperature)
        parameters += float((of_ranks * sizes).sum())
        is_there = 1 - of_ranks[:, 0].prod()
        time += float(is_there * (_softmax((own_ops - prices[0] * times) / temperature) * times).sum())
    return Spent(time, parameters)


def affordable(ops: Alphas, ranks: Alphas, costs: Costs, limits: Limits, temperature: float) -> Prices:
    """Return the lowest prices at which no more than the limits is spent on average."""
    of_parameter = lowest(lambda p: shares(ops, ranks, costs, (0.0, p), temperature).parameters <= limits.parameters)
    return lowest(lambda p: shares(ops, ranks, costs, (p, of_parameter), temperature).time <= limits.time), of_parameter


def choose_within(ops: Alphas, ranks: Alphas, costs: Costs, limits: Limits) -> Places:
    """Return the choices with the largest sum of alphas that the prices allow, then spend what is left over.

    Source: Dantzig's greedy solution of the knapsack; what is left is less than one choice costs.
    """

    def at(prices: Prices) -> Places:
        return [
            (int((own - prices[0] * times).argmax()), [int(row.argmax()) for row in own_ranks - prices[1] * sizes])
            for own, own_ranks, times, sizes in zip(ops, ranks, costs.times, costs.parameters, strict=True)
        ]

    of_parameter = lowest(lambda price: spent(at((0.0, price)), costs).parameters <= limits.parameters)
    of_time = lowest(lambda price: spent(at((price, of_parameter)), costs).time <= limits.time)
    places = at((of_time, of_parameter))
    for layer in _by_loss(ops, places):
        for op in np.argsort(-ops[layer], kind="stable"):
            better = [*places[:layer], (int(op), places[layer][1]), *places[layer + 1 :]]
            # The last one that is tried is the one it has.
            if op == places[layer][0] or spent(better, costs).time <= limits.time:
                places = better
                break
    return places


def spent(places: Places, costs: Costs) -> Spent:
    """Return what some choices cost."""
    time = parameters = 0.0
    for (op, of_ranks), times, sizes in zip(places, costs.times, costs.parameters, strict=True):
        parameters += sum(float(sizes[row, rank]) for row, rank in enumerate(of_ranks))
        time += float(times[op]) if any(of_ranks) else 0.0
    return Spent(time, parameters)


def lowest(keeps: Callable[[float], bool]) -> float:
    """Return the lowest price that keeps a limit, by bisection; 0 if none is needed."""
    if keeps(0.0):
        return 0.0
    above = 1e-9
    while not keeps(above) and above < 1e15:
        above *= 4
    below = 0.0
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        below, above = (below, middle) if keeps(middle) else (middle, above)
    return above


def _by_loss(ops: Alphas, places: Places) -> list[int]:
    """Return the layers that did not get what they wanted most, those that lost most by it first."""
    losses = [float(own.max() - own[place]) for own, (place, _) in zip(ops, places, strict=True)]
    return sorted((layer for layer, loss in enumerate(losses) if loss > 0), key=lambda layer: -losses[layer])


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
