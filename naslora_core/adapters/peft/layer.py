"""One layer of PEFT beside the frozen layer it adapts."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from naslora_core.adapters.base import Adapter
from naslora_core.adapters.peft.callback import PeftCallback
from naslora_core.errors import MergeError


class PeftAdapter(Adapter):
    """A layer of PEFT beside the frozen one it adapts.

    Args:
        base_layer: the layer of the base model; never changed.
        tuner: PEFT's layer around a copy of it. Where an initialisation has changed the copy (PiSSA, OLoRA) or is
            going to (LoRA-GA), the copy belongs to the adapter and is saved with it; else both share their tensors.
        callback: of all layers of the method, where it has one.
    """

    def __init__(self, base_layer: nn.Linear, tuner: Any, callback: PeftCallback | None) -> None:
        super().__init__(base_layer)
        self.tuner, self.callback = tuner, callback
        inner = tuner.get_base_layer()
        will_change = callback is not None and callback.changes_base
        self._shares_base = not will_change and torch.equal(inner.weight, base_layer.weight)
        if self._shares_base:
            inner.weight, inner.bias = base_layer.weight, base_layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        result: Tensor = self.tuner(x)
        return result

    def take_penalty(self) -> Tensor | None:
        """Return the penalty that the method's callback adds to the loss for this layer."""
        return self.callback.penalty(self.tuner) if self.callback else None

    def delta_weight(self) -> Tensor:
        """Return the update that PEFT's own merge adds to the weight, (out_features, in_features), float64.

        Raises:
            MergeError: if PEFT cannot merge this method.
        """
        return self._merged().weight.detach().double() - self.base_layer.weight.detach().double()

    def delta_bias(self) -> Tensor | None:
        """Return the update that PEFT's own merge adds to the bias, (out_features,), float64; None without a bias."""
        if self.base_layer.bias is None:
            return None
        return self._merged().bias.detach().double() - self.base_layer.bias.detach().double()

    def own_state(self) -> dict[str, Tensor]:
        """Return PEFT's tensors, with the weights under them where an initialisation has changed those."""
        state = super().own_state()
        if not self._shares_base:
            return state
        return {key: value for key, value in state.items() if not key.startswith("tuner.base_layer.")}

    def _merged(self) -> nn.Linear:
        tuner: Any = copy.deepcopy(self.tuner)
        try:
            tuner.merge(safe_merge=True)
        # What cannot be merged says so in as many ways as there are methods.
        except Exception as error:
            name = type(self.tuner).__module__.split(".")[-2]
            raise MergeError(f"PEFT cannot merge {name}: {error}; use the adapted model as it is") from error
        layer: nn.Linear = tuner.get_base_layer()
        return layer
