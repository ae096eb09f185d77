"""Prices of time and parameters: the lowest ones at which what all layers choose keeps a budget.

All layers pay the same price for a unit of time, and one for a parameter: of two choices that gain as much, the cheaper
one wins, wherever it is. The price which keeps a limit is found by bisection (Lagrange's multiplier of a knapsack).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# By layer: (operations,) or (projections, ranks).
ByLayer = Sequence[np.ndarray]
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


@dataclass(frozen=True)
class Costs:
    """What the choices of every layer cost.

    Args:
        times: by layer and operation, at the largest rank, (operations,).
        parameters: by layer, projection and rank, (projections, ranks).
    """

    times: ByLayer
    parameters: ByLayer


@dataclass(frozen=True)
class Spent:
    """What choices cost together: time over the base's, and parameters."""

    time: float
    parameters: float


def choose_within(ops: ByLayer, ranks: ByLayer, costs: Costs, limits: Limits) -> Places:
    """Return the choices that are worth most in sum at the prices that keep the limits, then spend what is left over.

    Args:
        ops: what operations are worth, by layer.
        ranks: what ranks are worth, by layer.
        costs: of both.
        limits: of all layers together.

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


def _by_loss(ops: ByLayer, places: Places) -> list[int]:
    """Return the layers that did not get what they wanted most, those that lost most by it first."""
    losses = [float(own.max() - own[place]) for own, (place, _) in zip(ops, places, strict=True)]
    return sorted((layer for layer, loss in enumerate(losses) if loss > 0), key=lambda layer: -losses[layer])
