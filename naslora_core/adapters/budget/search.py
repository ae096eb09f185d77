"""The search under a budget: in rounds, what is worth least for its cost goes, until the rest fits."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.cost import is_exact
from naslora_core.adapters.budget.layer import SCALES, ChoosingLayer
from naslora_core.adapters.budget.prices import Costs, Limits, choose_within
from naslora_core.adapters.callback import Average, Probe, TrainingCallback

# When there are rounds, as shares of the training. Before the first all layers learn with all neighbours and ranks; the
# last one leaves what fits, and the rest of the training is for its weights.
ROUNDS = (0.15, 0.22, 0.29, 0.36)
# Stands for a choice that is gone.
_GONE = -1e30


class BudgetSearch(TrainingCallback):
    """Measures on training images what the neighbours and the channels of every layer are worth, and drops the least.

    Neighbours: by how much the loss rises if a layer does without them, measured layer by layer. Channels: half the
    mean square of the loss's gradient by their gates, the rise of the loss to second order (Fisher pruning,
    arXiv:1801.05787), from one pass for all of them. Both against what they cost, by `choose_within`.

    Args:
        layers: that choose, by name.
        costs: of their choices.
        limits: of all layers together.

    Attributes:
        worth: by layer, by how much the loss rose without its neighbours when that was measured last.
    """

    def __init__(self, layers: Mapping[str, ChoosingLayer], costs: Costs, limits: Limits) -> None:
        self._layers, self._costs, self._limits = dict(layers), costs, limits
        self._steps, self._rounds = 0, 0
        self._probes: Sequence[Probe] = ()
        self._average: Average = lambda loss, _: float(loss)
        self.worth: dict[str, float] = {}

    def plan(self, steps: int) -> None:
        """Set the length of the training, in weight steps."""
        self._steps = steps

    def look(self, probes: Sequence[Probe], average: Average) -> None:
        """Take the images to measure on."""
        self._probes, self._average = probes, average

    def after_step(self, step: int) -> None:
        """Hold a round where it is time for one."""
        while self._rounds < len(ROUNDS) and step >= ROUNDS[self._rounds] * self._steps:
            self._rounds += 1
            self._hold_round()

    @property
    def is_settled(self) -> bool:
        """Whether every layer has chosen."""
        return all(layer.choice is not None for layer in self._layers.values())

    def _hold_round(self) -> None:
        limits = self._limits_now()
        ranks = [_rank_places(layer) for layer in self._layers.values()]
        if np.isfinite(limits.parameters):
            worth = self._worth_of_ranks()
            nothing = [np.zeros(1) for _ in worth]
            free = Costs(nothing, self._costs.parameters)
            ranks = [places for _, places in choose_within(nothing, worth, free, Limits(0.0, limits.parameters))]
            for layer, places in zip(self._layers.values(), ranks, strict=True):
                layer.caps = {name: layer.levels[place] for name, place in zip(layer.sections, places, strict=True)}
        kept = self._keep_neighbours(limits)
        if self._rounds == len(ROUNDS):
            self._choose(kept)

    def _limits_now(self) -> Limits:
        """Return the limits of this round: geometrically from what all cost to what they may cost."""
        layers = zip(self._layers.values(), self._costs.times, self._costs.parameters, strict=True)
        whole = [(float(times.max()), float(sizes[:, -1].sum())) for _, times, sizes in layers]
        way = self._rounds / len(ROUNDS)
        return Limits(
            *(
                all_of_it * (limit / all_of_it) ** way if 0 < limit < all_of_it else limit
                for all_of_it, limit in zip(
                    (sum(time for time, _ in whole), sum(size for _, size in whole)),
                    (self._limits.time, self._limits.parameters),
                    strict=True,
                )
            )
        )

    def _keep_neighbours(self, limits: Limits) -> list[str]:
        """Drop the neighbours of the layers that are worth least, and return the names of those that keep theirs."""
        spatial = {name: layer for name, layer in self._layers.items() if layer.op.chosen is None}
        places = [place for place, name in enumerate(self._layers) if name in spatial]
        if not spatial or not any(self._costs.times[place].any() for place in places):
            return []
        before = self._loss()
        for name, layer in spatial.items():
            self.worth[name] = self._without(layer) - before if any(layer.caps.values()) else 0.0
        gains = [np.array([0.0, self.worth[name]]) for name in spatial]
        times = [np.array([0.0, self._costs.times[place].max()]) for place in places]
        chosen = _choose_operations(gains, times, limits.time)
        kept = [name for name, keeps in zip(spatial, chosen, strict=True) if keeps]
        for name, layer in spatial.items():
            if name not in kept:
                layer.drop_neighbours()
        return kept

    def _choose(self, kept: Sequence[str]) -> None:
        """Choose for good: of the layers that keep their neighbours the operation that is worth most for its cost."""
        operations = self._operations(kept)
        for name, layer in self._layers.items():
            if name in operations:
                operation = operations[name]
            elif any(layer.caps.values()) or SCALES not in layer.op.space:
                operation = layer.op.space[layer.op.chosen or 0]
            else:
                operation, layer.caps = SCALES, dict.fromkeys(layer.sections, layer.rank)
            layer.choose(LayerChoice(operation=operation, ranks=dict(layer.caps)))

    def _operations(self, kept: Sequence[str]) -> dict[str, str]:
        layers = {name: self._layers[name] for name in kept}
        if not layers:
            return {}
        of_costs = dict(zip(self._layers, self._costs.times, strict=True))
        spatial = {name: [op for op in layer.op.space if not is_exact(op)] for name, layer in layers.items()}
        gains, times = [], []
        for name, layer in layers.items():
            losses = {op: self._with(layer, op) for op in spatial[name]}
            self.worth[name] = (without := self._without(layer)) - min(losses.values())
            gains.append(np.array([0.0, *(without - losses[op] for op in spatial[name])]))
            times.append(np.array([0.0, *(of_costs[name][layer.op.space.index(op)] for op in spatial[name])]))
        chosen = _choose_operations(gains, times, self._limits.time)
        found = {}
        for (name, layer), place in zip(layers.items(), chosen, strict=True):
            if place == 0:
                layer.drop_neighbours()
            else:
                found[name] = spatial[name][place - 1]
        return found

    @torch.no_grad()
    def _loss(self) -> float:
        return sum(self._average(probe(), []) for probe in self._probes) / len(self._probes)

    def _without(self, layer: ChoosingLayer) -> float:
        layer.op.muted = True
        try:
            return self._loss()
        finally:
            layer.op.muted = False

    def _with(self, layer: ChoosingLayer, operation: str) -> float:
        """Return the loss with one operation in a layer, which stays as it was."""
        before = layer.op
        layer.op = copy.deepcopy(before)
        try:
            layer.op.choose(before.space.index(operation))
            return self._loss()
        finally:
            layer.op = before

    def _worth_of_ranks(self) -> list[np.ndarray]:
        """Return for every layer the worth of each rank of each projection, (sections, levels), 0 for the largest."""
        layers = list(self._layers.values())
        for layer in layers:
            layer.gates = torch.ones(len(layer.sections), layer.rank, device=layer.lora_A.device, requires_grad=True)
        gates = [layer.gates for layer in layers if layer.gates is not None]
        squares = [torch.zeros_like(gate) for gate in gates]
        with torch.enable_grad():
            for probe in self._probes:
                loss = probe()
                loss.backward(inputs=gates)
                self._average(loss.detach(), gates)
                for square, gate in zip(squares, gates, strict=True):
                    square += gate.grad.square() if gate.grad is not None else 0
                    gate.grad = None
        for layer in layers:
            layer.gates = None
        worth = []
        for layer, square in zip(layers, squares, strict=True):
            drops = [square[:, level:].sum(dim=1).double().cpu().numpy() / 2 for level in layer.levels]
            table = -np.stack(drops, axis=1) / len(self._probes)
            for row, place in enumerate(_rank_places(layer)):
                table[row, place + 1 :] = _GONE
            worth.append(table)
        return worth

    def state(self) -> dict[str, Any]:
        """Return the rounds that were held, and what they left of every layer."""
        return {
            "rounds": self._rounds,
            "worth": self.worth,
            "layers": [
                [layer.op.chosen, layer.caps, layer.choice.model_dump() if layer.choice else None]
                for layer in self._layers.values()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken, with the layers' own tensors restored already."""
        self._rounds, self.worth = state["rounds"], state["worth"]
        for layer, (chosen, caps, choice) in zip(self._layers.values(), state["layers"], strict=True):
            layer.op.chosen, layer.caps = chosen, caps
            if choice is not None:
                layer.resume(LayerChoice.model_validate(choice))


def _choose_operations(gains: list[np.ndarray], times: list[np.ndarray], limit: float) -> list[int]:
    """Return the places of the operations that are worth most within a limit of time, by layer."""
    # Every layer has a rank here, at no cost.
    ranks, sizes = [np.array([[0.0, 1.0]])] * len(gains), [np.zeros((1, 2))] * len(gains)
    return [place for place, _ in choose_within(gains, ranks, Costs(times, sizes), Limits(limit, np.inf))]


def _rank_places(layer: ChoosingLayer) -> list[int]:
    return [layer.levels.index(layer.caps[name]) for name in layer.sections]
