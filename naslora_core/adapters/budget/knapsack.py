"""Choose one of several things at every place, so that they are worth most and keep a limit together.

All places pay the same price for a unit of what is limited: of two choices that gain as much, the cheaper one wins,
wherever it is. The price that keeps the limit is found by bisection (Lagrange's multiplier of a knapsack).
"""

from collections.abc import Callable, Sequence

import numpy as np

_HALVINGS = 60


def choose_within(worth: Sequence[np.ndarray], costs: Sequence[np.ndarray], limit: float) -> list[int]:
    """Return which choice each place makes: those worth most at the lowest price that keeps the limit.

    What is left over is spent on the places that lost most by the price, as far as it goes; so the result may miss the
    best one by less than a single choice (Dantzig's greedy solution of the knapsack).

    Args:
        worth: by place, of every choice; one that is out of the question is worth -inf.
        costs: by place, of every choice; each place has one that costs nothing.
        limit: of the costs in sum, 0 or more.
    """

    def at(price: float) -> list[int]:
        return [int((own - price * cost).argmax()) for own, cost in zip(worth, costs, strict=True)]

    def cost_of(chosen: Sequence[int]) -> float:
        return sum(float(cost[choice]) for cost, choice in zip(costs, chosen, strict=True))

    chosen = at(lowest(lambda price: cost_of(at(price)) <= limit))
    losses = [float(own.max() - own[choice]) for own, choice in zip(worth, chosen, strict=True)]
    for place in sorted(range(len(chosen)), key=lambda place: -losses[place]):
        for choice in np.argsort(-worth[place], kind="stable").tolist():
            # The last one that is tried is the one it has.
            other = [*chosen[:place], choice, *chosen[place + 1 :]]
            if choice == chosen[place] or cost_of(other) <= limit:
                chosen = other
                break
    return chosen


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
