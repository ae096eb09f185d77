"""Architectures that nobody searched, of the same cost: the controls that show what a search is worth."""

import random
from collections.abc import Mapping

from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.cost import LayerCosts, Limits, fits

Drawn = dict[str, LayerChoice]


def draw_random(layers: Mapping[str, LayerCosts], limits: Limits, seed: int) -> Drawn:
    """Draw an operation for every layer and a rank for every projection, and change some until the limits are used.

    A draw that costs too much loses a rank or an operation at random; then, in random order, ranks and operations rise
    as far as they fit.
    """
    chance = random.Random(seed)
    drawn = {
        name: LayerChoice(
            operation=chance.choice(costs.space),
            ranks={section: chance.choice(costs.levels) for section in costs.sections},
        )
        for name, costs in layers.items()
    }
    slots = [(name, section) for name, costs in layers.items() for section in costs.sections]
    while not fits(drawn, layers, Limits(float("inf"), limits.parameters)):
        name, section = chance.choice([(name, section) for name, section in slots if drawn[name].ranks[section]])
        drawn[name] = _with_rank(drawn[name], section, layers[name].below(drawn[name].ranks[section]))
    while not fits(drawn, layers, limits):
        name = chance.choice([name for name, costs in layers.items() if costs.time(drawn[name])])
        drawn[name] = drawn[name].model_copy(update={"operation": layers[name].free})
    for name, section in chance.sample(slots, len(slots)):
        for rank in layers[name].levels:
            richer = drawn | {name: _with_rank(drawn[name], section, rank)}
            if rank > drawn[name].ranks[section] and fits(richer, layers, limits):
                drawn = richer
    for name in chance.sample(list(layers), len(layers)):
        for operation in chance.sample(layers[name].space, len(layers[name].space)):
            richer = drawn | {name: drawn[name].model_copy(update={"operation": operation})}
            if not layers[name].time(drawn[name]) < layers[name].time(richer[name]):
                continue
            if fits(richer, layers, limits):
                drawn = richer
    return drawn


def spread_evenly(layers: Mapping[str, LayerCosts], limits: Limits) -> Drawn:
    """Give every projection the largest rank that all can have, and every n-th layer the first operation that costs.

    n is the least for which the limits suffice.
    """
    plain = {name: _alike(costs, 0, costs.free) for name, costs in layers.items()}
    for rank in next(iter(layers.values())).levels:
        richer = {name: _alike(costs, rank, costs.free) for name, costs in layers.items()}
        plain = richer if fits(richer, layers, limits) else plain
    names = list(layers)
    for count in range(len(names), 0, -1):
        paid = {names[round((number + 0.5) * len(names) / count - 0.5)] for number in range(count)}
        spread = {
            name: choice.model_copy(update={"operation": layers[name].first_paid}) if name in paid else choice
            for name, choice in plain.items()
        }
        if fits(spread, layers, limits):
            return spread
    return plain


def _with_rank(choice: LayerChoice, section: str, rank: int) -> LayerChoice:
    return choice.model_copy(update={"ranks": choice.ranks | {section: rank}})


def _alike(costs: LayerCosts, rank: int, operation: str) -> LayerChoice:
    return LayerChoice(operation=operation, ranks=dict.fromkeys(costs.sections, rank))
