"""What neighbours and channels have been worth along the training, from the gradients that it computes anyway."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from naslora_core.adapters.budget.layer import ChoosingLayer
from naslora_core.ops import PointwisePrimitive

# Of the mean squares of gradients, by step: about the last fifty steps count.
_MEMORY = 0.98


class Ledger:
    """Credits every layer, step by step.

    *Neighbours*: by how much the loss fell because the taps beside the middle one moved. The move of a step is
    multiplied with the gradient of the next one, which comes from other images, so that noise cancels instead of
    counting as gain (loss change allocation, arXiv:1909.01440).

    *Channels*: the mean square of the loss's gradient by a gate on every channel of every projection, half of which is
    what the loss would rise by without it, to second order (Fisher pruning, arXiv:1801.05787).

    Args:
        layers: by name.

    Attributes:
        neighbours: by layer, how far the loss fell by them, (); more is better.
        channels: by layer, the mean squares, (sections, rank).
    """

    def __init__(self, layers: Mapping[str, ChoosingLayer]) -> None:
        self._layers = dict(layers)
        self._weights = {name: _weights_of_neighbours(layer) for name, layer in layers.items()}
        self._before = {name: [weight.detach().clone() for weight in own] for name, own in self._weights.items()}
        self._moves = {name: [torch.zeros_like(weight) for weight in own] for name, own in self._weights.items()}
        device = next(iter(layers.values())).lora_A.device if layers else None
        self.neighbours = {name: torch.zeros((), device=device) for name in layers}
        self.channels = {
            name: torch.zeros(len(layer.sections), layer.rank, device=device) for name, layer in layers.items()
        }

    @torch.no_grad()
    def note(self) -> None:
        """Credit a step; called after it, while its gradients are there."""
        for name, layer in self._layers.items():
            if (slope := layer.lora_B.grad) is not None:
                of_gates = (layer.lora_B * slope).unflatten(0, (len(layer.sections), -1)).sum(dim=1)
                self.channels[name].mul_(_MEMORY).add_(of_gates.square(), alpha=1 - _MEMORY)
            if layer.op.chosen is None:
                self._note_neighbours(name)

    def _note_neighbours(self, name: str) -> None:
        for place, weight in enumerate(self._weights[name]):
            if weight.grad is not None:
                self.neighbours[name] -= (weight.grad * self._moves[name][place]).sum()
            move = weight - self._before[name][place]
            if weight.dim() > 2 and (side := weight.shape[-1]) > 1 and side == weight.shape[-2] and side % 2:
                move[..., side // 2, side // 2] = 0
            self._moves[name][place] = move
            self._before[name][place].copy_(weight)

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {
            "neighbours": self.neighbours,
            "channels": self.channels,
            "moves": self._moves,
            "before": self._before,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self.neighbours, self.channels = state["neighbours"], state["channels"]
        self._moves, self._before = state["moves"], state["before"]


def _weights_of_neighbours(layer: ChoosingLayer) -> list[nn.Parameter]:
    spatial = [op for op in layer.op.candidates if not isinstance(op, PointwisePrimitive)]
    return [weight for op in spatial for weight in op.parameters()]
