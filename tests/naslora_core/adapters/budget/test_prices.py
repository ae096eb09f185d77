"""Prices keep budgets, and no budget is wasted."""

from itertools import product

import numpy as np
import pytest

from naslora_core.adapters.budget.prices import Costs, Limits, choose_within, lowest, spent

LAYERS = 5


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def costs() -> Costs:
    return Costs([np.array([0.0, 0.01, 0.02])] * LAYERS, [np.tile(np.array([0.0, 10, 20]), (2, 1))] * LAYERS)


@pytest.fixture
def worth(rng):
    """What operations and ranks are worth, by layer."""
    return [rng.normal(size=3) for _ in range(LAYERS)], [rng.normal(size=(2, 3)) for _ in range(LAYERS)]


def test_what_is_chosen_keeps_the_budget_and_is_nearly_the_best_that_does(worth, costs):
    ops, ranks = worth
    limits = Limits(0.04, np.inf)
    places = choose_within(ops, ranks, costs, limits)
    assert spent(places, costs).time <= limits.time
    values = list(ops)
    best = max(
        sum(values[layer][op] for layer, op in enumerate(combination))
        for combination in product(range(3), repeat=LAYERS)
        if sum(costs.times[layer][op] for layer, op in enumerate(combination)) <= limits.time
    )
    found = sum(values[layer][op] for layer, (op, _) in enumerate(places))
    # What greed can miss is less than one choice, and here no layer gains as much as this by its choice.
    assert best - found < 0.5


def test_parameters_are_limited_by_rank(worth, costs):
    places = choose_within(*worth, costs, Limits(1.0, 50))
    assert 0 < spent(places, costs).parameters <= 50


def test_a_layer_without_any_rank_costs_no_time(costs):
    assert spent([(2, [0, 0])] * LAYERS, costs).time == 0
    assert spent([(2, [0, 1])] + [(2, [0, 0])] * (LAYERS - 1), costs).time == 0.02


def test_the_lowest_price_is_found():
    assert lowest(lambda price: price >= 123.4) == pytest.approx(123.4)
    assert lowest(lambda price: True) == 0
