"""Architectures that nobody searched, of the same cost: the controls that show what a search is worth."""

import random
from collections.abc import Sequence

import numpy as np

from naslora_core.adapters.budget.prices import Costs, Limits, Places, spent


def draw_random(costs: Costs, limits: Limits, levels: Sequence[int], seed: int) -> Places:
    """Draw an operation for every layer and a rank for every projection, and change some until the limits are used.

    A draw that costs too much loses an operation or a rank at random, one that costs less gains one, for as long as
    something fits.
    """
    chance = random.Random(seed)
    layers = range(len(costs.times))
    places: Places = [
        (chance.randrange(len(costs.times[layer])),
         [chance.randrange(len(levels)) for _ in range(len(costs.parameters[layer]))])
        for layer in layers
    ]  # fmt: skip
    slots = [(layer, row) for layer in layers for row in range(len(costs.parameters[layer]))]
    while spent(places, costs).parameters > limits.parameters:
        layer, row = chance.choice([(layer, row) for layer, row in slots if places[layer][1][row]])
        places[layer][1][row] -= 1
    for layer, row in chance.sample(slots, len(slots)):
        while places[layer][1][row] + 1 < len(levels) and np.isfinite(limits.parameters):
            places[layer][1][row] += 1
            if spent(places, costs).parameters > limits.parameters:
                places[layer][1][row] -= 1
                break
    while spent(places, costs).time > limits.time:
        layer = chance.choice([layer for layer in layers if costs.times[layer][places[layer][0]] > 0])
        places[layer] = (_free(costs, layer), places[layer][1])
    for layer in chance.sample(layers, len(layers)):
        if costs.times[layer][places[layer][0]] == 0 and any(places[layer][1]):
            paid = [op for op in range(len(costs.times[layer])) if costs.times[layer][op] > 0]
            chance.shuffle(paid)
            for op in paid:
                richer = [*places[:layer], (op, places[layer][1]), *places[layer + 1 :]]
                if np.isfinite(limits.time) and spent(richer, costs).time <= limits.time:
                    places = richer
                    break
    return places


def spread_evenly(costs: Costs, limits: Limits, levels: Sequence[int]) -> Places:
    """Give every projection the largest rank that all can have, and the first operation that costs to every n-th layer.

    n is the least for which the limits suffice.
    """
    layers = range(len(costs.times))
    rank = max(
        place
        for place in range(len(levels))
        if place == 0 or sum(float(each[:, place].sum()) for each in costs.parameters) <= limits.parameters
    )
    ranks = [[rank] * len(costs.parameters[layer]) for layer in layers]
    for count in range(len(layers), -1, -1):
        paid = {round((number + 0.5) * len(layers) / count - 0.5) for number in range(count)} if count else set()
        places = [
            (_first_paid(costs, layer) if layer in paid else _free(costs, layer), ranks[layer]) for layer in layers
        ]
        if spent(places, costs).time <= limits.time:
            return places
    return places


def _free(costs: Costs, layer: int) -> int:
    return int(np.flatnonzero(costs.times[layer] == 0)[0])


def _first_paid(costs: Costs, layer: int) -> int:
    paid = np.flatnonzero(costs.times[layer] > 0)
    return int(paid[0]) if len(paid) else _free(costs, layer)
