"""The search under a budget: prices rise until the expected architecture fits, then every layer chooses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.layer import ChoosingLayer
from naslora_core.adapters.budget.prices import Costs, Limits, affordable, choose_within, shares
from naslora_core.adapters.callback import TrainingCallback

# Shares of the training. Until the first everything is free; at the second every layer has chosen, and the rest is for
# the weights of what was found.
PRICED_FROM, CHOSEN_AT = 0.2, 0.5
# The temperature at which layers choose; it falls from 1.
COLDEST = 0.1
# Steps between two looks at the prices.
PRICE_EVERY = 5


class BudgetSearch(TrainingCallback):
    """Sets prices and temperature after weight steps, and ends the search when its time has come.

    Args:
        layers: that choose, by name.
        costs: of their choices.
        limits: of all layers together.
    """

    searched_share = CHOSEN_AT

    def __init__(self, layers: Mapping[str, ChoosingLayer], costs: Costs, limits: Limits) -> None:
        self._layers, self._costs, self._limits = dict(layers), costs, limits
        self._steps = self._step = 0

    def plan(self, steps: int) -> None:
        """Set the length of the training, in weight steps."""
        self._steps = steps

    def after_step(self, step: int) -> None:
        """Set the prices for the next steps, or choose."""
        self._step = step
        if self.is_settled:
            return
        if step >= CHOSEN_AT * self._steps:
            self._choose()
        elif step % PRICE_EVERY == 0:
            self._set_prices()

    @property
    def is_settled(self) -> bool:
        """Whether every layer has chosen."""
        return all(layer.choice is not None for layer in self._layers.values())

    def _set_prices(self) -> None:
        progress = (self._step / self._steps - PRICED_FROM) / (CHOSEN_AT - PRICED_FROM)
        if progress <= 0:
            return
        temperature = COLDEST ** min(1.0, progress)
        ops, ranks = self._alphas()
        free = shares(ops, ranks, self._costs, (0.0, 0.0), temperature)
        limits = self._limits.towards(free.time, free.parameters, progress)
        prices = affordable(ops, ranks, self._costs, limits, temperature)
        tolls = [map(torch.from_numpy, each) for each in self._costs.tolls(prices)]
        for layer, toll, rank_toll in zip(self._layers.values(), *tolls, strict=True):
            layer.op.set_price(temperature, toll)
            layer.get_buffer("rank_toll").copy_(rank_toll)

    def _choose(self) -> None:
        names = [(layer.op.space, layer.levels, layer.sections) for layer in self._layers.values()]
        chosen = choose_within(*self._alphas(), self._costs, self._limits)
        for layer, (space, levels, sections), (op, ranks) in zip(self._layers.values(), names, chosen, strict=True):
            by_section = {name: levels[place] for name, place in zip(sections, ranks, strict=True)}
            layer.choose(LayerChoice(operation=space[op], ranks=by_section))

    def _alphas(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        layers = self._layers.values()
        ops = [layer.op.alphas.detach().cpu().double().numpy() for layer in layers]
        return ops, [layer.rank_alphas.detach().cpu().double().numpy() for layer in layers]

    def state(self) -> dict[str, Any]:
        """Return the step, the choices, and the tolls and temperature of every layer."""
        layers = self._layers.values()
        return {
            "step": self._step,
            "choices": [layer.choice.model_dump() if layer.choice else None for layer in layers],
            "tolls": [[layer.op.get_buffer("toll"), layer.get_buffer("rank_toll")] for layer in layers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken, with the layers' own tensors restored already."""
        self._step = state["step"]
        for layer, choice, (toll, rank_toll) in zip(
            self._layers.values(), state["choices"], state["tolls"], strict=True
        ):
            layer.op.get_buffer("toll").copy_(toll)
            layer.get_buffer("rank_toll").copy_(rank_toll)
            if choice is not None:
                layer.resume(LayerChoice.model_validate(choice))
