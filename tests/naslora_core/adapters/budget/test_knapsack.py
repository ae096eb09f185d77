"""A limit is kept, and not wasted."""

from itertools import product

import numpy as np
import pytest

from naslora_core.adapters.budget.knapsack import choose_within, lowest

PLACES = 6


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [0.0, 0.025, 0.04, 1.0])
def test_the_limit_is_kept_and_what_is_chosen_is_nearly_the_best(seed, limit):
    rng = np.random.default_rng(seed)
    worth = [rng.normal(size=3) for _ in range(PLACES)]
    costs = [np.array([0.0, 0.01, 0.02])] * PLACES

    def value(choices) -> float:
        return sum(float(own[choice]) for own, choice in zip(worth, choices, strict=True))

    def cost(choices) -> float:
        return sum(float(own[choice]) for own, choice in zip(costs, choices, strict=True))

    chosen = choose_within(worth, costs, limit)
    assert cost(chosen) <= limit
    best = max(value(choices) for choices in product(range(3), repeat=PLACES) if cost(choices) <= limit)
    largest_gain = max(float(own.max() - own[0]) for own in worth)
    assert best - largest_gain < value(chosen) <= best + 1e-9
    if limit >= 0.12:
        assert value(chosen) == pytest.approx(best)


def test_what_is_out_of_the_question_is_not_chosen():
    worth = [np.array([0.0, 1.0, -np.inf])] * 2
    assert choose_within(worth, [np.array([0.0, 1.0, 2.0])] * 2, 10) == [1, 1]


def test_nothing_is_chosen_that_is_worth_less_than_nothing():
    assert choose_within([np.array([0.0, -1.0])], [np.array([0.0, 1.0])], 10) == [0]


def test_the_lowest_price_is_found():
    assert lowest(lambda price: price >= 123.4) == pytest.approx(123.4)
    assert lowest(lambda price: True) == 0
