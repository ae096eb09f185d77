"""The search under a budget: in rounds, what is worth least for its cost goes, until the rest fits."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.cost import LayerCosts, Limits, is_exact, spent
from naslora_core.adapters.budget.draw import draw_random
from naslora_core.adapters.budget.knapsack import choose_within
from naslora_core.adapters.budget.layer import SCALES, ChoosingLayer
from naslora_core.adapters.budget.replay import Replay
from naslora_core.adapters.callback import Average, Probe, TrainingCallback

# When there are rounds, as shares of the training. Before the first all layers learn with all neighbours and ranks; the
# last one leaves what fits, and the rest of the training is for its weights.
ROUNDS = (0.2, 0.3, 0.4, 0.5)

# Of layers that have not chosen yet.
_UNKNOWN: Mapping[str, str] = {}
_NO_BLOCKS: Mapping[str, nn.Module] = {}

# A layer's name, and what makes a context in which it is changed.
Change = tuple[str, Callable[[], AbstractContextManager[None]]]


class BudgetSearch(TrainingCallback):
    """Measures on training images what the neighbours and the channels of every layer are worth, and drops the least.

    Neighbours: by how much the loss rises if a layer does without them, measured layer by layer. Channels: half the
    mean square of the loss's gradient by their gates, the rise of the loss to second order (Fisher pruning,
    arXiv:1801.05787), from one pass for all of them. Both against what they cost, by `choose_within`.

    Args:
        layers: that choose, by name.
        costs: of their choices.
        limits: of all layers together.
        blocks: of the encoder, by the names of the layers in them; a pass that measures a layer leaves out those
            before its own.

    Attributes:
        worth: by layer, by how much the loss rose without its neighbours when that was measured last.
        branch_worth: by layer, by how much it would rise without its branch, as its channels tell, in the last round.
    """

    def __init__(
        self,
        layers: Mapping[str, ChoosingLayer],
        costs: Mapping[str, LayerCosts],
        limits: Limits,
        blocks: Mapping[str, nn.Module] = _NO_BLOCKS,
    ) -> None:
        self._layers, self._costs, self._limits, self._blocks = dict(layers), dict(costs), limits, dict(blocks)
        self._steps, self._rounds = 0, 0
        self._probes: Sequence[Probe] = ()
        self._average: Average = lambda loss, _: float(loss)
        self.worth: dict[str, float] = {}
        self.branch_worth: dict[str, float] = {}

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

    def choose_at_random(self, seed: int) -> None:
        """Choose without measuring, at the cost of the limits."""
        for name, choice in draw_random(self._costs, self._limits, seed).items():
            self._layers[name].choose(choice)

    def _hold_round(self) -> None:
        limits = self._limits_now()
        worth = self._worth_of_ranks()
        rows = iter(worth)
        self.branch_worth = {name: sum(-next(rows)[0] for _ in own.sections) for name, own in self._layers.items()}
        if np.isfinite(limits.parameters):
            self._lower_ranks(worth, limits.parameters)
        kept = self._keep_neighbours(limits.time)
        if self._rounds == len(ROUNDS):
            self._choose(self._operations(kept), worth)

    def _limits_now(self) -> Limits:
        """Return the limits of this round: geometrically from what all layers cost to what they may cost."""
        whole = spent({name: self._as_it_is(name) for name in self._layers}, self._costs)
        # The first round has the whole way before it.
        way = 1 / (len(ROUNDS) - self._rounds + 1)
        return Limits(
            *(
                cost * (limit / cost) ** way if 0 < limit < cost else limit
                for cost, limit in ((whole.time, self._limits.time), (whole.parameters, self._limits.parameters))
            )
        )

    def _as_it_is(self, name: str, operations: Mapping[str, str] = _UNKNOWN) -> LayerChoice:
        """Return what is left to a layer, with the operation that it will have if that is known."""
        layer, costs = self._layers[name], self._costs[name]
        if SCALES in costs.space and not any(layer.caps.values()):
            return LayerChoice(operation=SCALES, ranks=dict.fromkeys(layer.sections, layer.rank))
        operation = costs.first_paid if layer.op.chosen is None else costs.space[layer.op.chosen]
        return LayerChoice(operation=operations.get(name, operation), ranks=dict(layer.caps))

    def _parameters(self, operations: Mapping[str, str] = _UNKNOWN) -> float:
        return spent({name: self._as_it_is(name, operations) for name in self._layers}, self._costs).parameters

    def _lower_ranks(self, worth: list[np.ndarray], limit: float, operations: Mapping[str, str] = _UNKNOWN) -> None:
        """Lower the ranks of the projections whose channels are worth least, until the parameters keep a limit."""
        slots = [(layer, section) for layer in self._layers.values() for section in layer.sections]
        per_rank = [costs.per_rank() for costs in self._costs.values() for _ in costs.sections]
        sizes = [np.array(layer.levels) * each for (layer, _), each in zip(slots, per_rank, strict=True)]
        allowed = limit
        while True:
            for (layer, section), place in zip(slots, choose_within(worth, sizes, allowed), strict=True):
                layer.caps[section] = layer.levels[place]
            left = self._parameters(operations)
            if left <= limit or allowed < 1:
                return
            # Operations have parameters as well, and a down-projection those of its largest projection.
            allowed *= 0.95 * limit / left

    def _keep_neighbours(self, limit: float) -> list[str]:
        """Drop the neighbours of the layers that are worth least, and return the names of those that keep theirs."""
        spatial = [name for name, layer in self._layers.items() if layer.op.chosen is None]
        if not any(self._costs[name].first_paid != self._costs[name].free for name in spatial):
            return []
        measured = [name for name in spatial if any(self._layers[name].caps.values())]
        before, *without = self._losses([(name, partial(_muted, self._layers[name])) for name in measured])
        self.worth |= dict.fromkeys(spatial, 0.0)
        self.worth |= {name: loss - before for name, loss in zip(measured, without, strict=True)}
        gains = [np.array([0.0, self.worth[name]]) for name in spatial]
        times = [np.array([0.0, self._costs[name].time(self._as_it_is(name))]) for name in spatial]
        kept = [name for name, keeps in zip(spatial, choose_within(gains, times, limit), strict=True) if keeps]
        for name in spatial:
            if name not in kept:
                self._layers[name].drop_neighbours()
        return kept

    def _choose(self, operations: Mapping[str, str], worth: list[np.ndarray]) -> None:
        """Choose for good, with the operations of the layers that keep their neighbours."""
        if self._parameters(operations) > self._limits.parameters:
            self._lower_ranks(worth, self._limits.parameters, operations)
        for name, layer in self._layers.items():
            choice = self._as_it_is(name, operations)
            layer.caps = dict(choice.ranks)
            layer.choose(choice)

    def _operations(self, kept: Sequence[str]) -> dict[str, str]:
        """Return the operation that is worth most for its cost, of the layers that keep their neighbours."""
        gains, times, found = [], [], {}
        spatial = {name: [op for op in self._costs[name].space if not is_exact(op)] for name in kept}
        changes: list[Change] = []
        for name, operations in spatial.items():
            layer = self._layers[name]
            having = [partial(_having, layer, operation) for operation in operations]
            changes += [(name, change) for change in (partial(_muted, layer), *having)]
        losses = iter(self._losses(changes)[1:] if changes else [])
        for name in kept:
            layer, costs = self._layers[name], self._costs[name]
            without = next(losses)
            own = [without - next(losses) for _ in spatial[name]]
            self.worth[name] = max(own)
            gains.append(np.array([0.0, *own]))
            choices = (LayerChoice(operation=operation, ranks=layer.caps) for operation in spatial[name])
            times.append(np.array([0.0, *(costs.time(choice) for choice in choices)]))
        for name, place in zip(kept, choose_within(gains, times, self._limits.time), strict=True):
            if place:
                found[name] = spatial[name][place - 1]
            else:
                self._layers[name].drop_neighbours()
        return found

    @torch.no_grad()
    def _losses(self, changes: Sequence[Change]) -> list[float]:
        """Return the loss of the layers as they are, and with each change alone."""
        sums = [0.0] * (1 + len(changes))
        for probe in self._probes:
            replay = Replay(self._blocks)
            with replay.recording():
                sums[0] += self._average(probe(), [])
            for place, (name, change) in enumerate(changes, 1):
                with change(), replay.before(self._blocks.get(name)):
                    sums[place] += self._average(probe(), [])
        return [total / len(self._probes) for total in sums]

    def _worth_of_ranks(self) -> list[np.ndarray]:
        """Return what each rank is worth, (levels,), of every projection of every layer; the largest one 0."""
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
            drops = torch.stack([square[:, level:].sum(dim=1) for level in layer.levels], dim=1) / 2 / len(self._probes)
            for section, row in zip(layer.sections, -drops.double().cpu().numpy(), strict=True):
                row[layer.levels.index(layer.caps[section]) + 1 :] = -np.inf
                worth.append(row)
        return worth

    def state(self) -> dict[str, Any]:
        """Return the rounds that were held, and what they left of every layer."""
        return {
            "rounds": self._rounds,
            "worth": self.worth,
            "branch_worth": self.branch_worth,
            "layers": [
                [layer.op.chosen, layer.caps, layer.choice.model_dump() if layer.choice else None]
                for layer in self._layers.values()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken, with the layers' own tensors restored already."""
        self._rounds, self.worth, self.branch_worth = state["rounds"], state["worth"], state["branch_worth"]
        for layer, (chosen, caps, choice) in zip(self._layers.values(), state["layers"], strict=True):
            layer.op.chosen, layer.caps = chosen, caps
            if choice is not None:
                layer.resume(LayerChoice.model_validate(choice))


@contextmanager
def _muted(layer: ChoosingLayer) -> Iterator[None]:
    """Let a layer do without its neighbours."""
    layer.op.muted = True
    try:
        yield
    finally:
        layer.op.muted = False


@contextmanager
def _having(layer: ChoosingLayer, operation: str) -> Iterator[None]:
    """Let a layer have one operation, and stay as it was afterwards."""
    before = layer.op
    layer.op = copy.deepcopy(before)
    try:
        layer.op.choose(before.space.index(operation))
        yield
    finally:
        layer.op = before
