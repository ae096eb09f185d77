"""Replace adapters by merged layers in a copy of the model; shared by all merges."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.errors import MergeError
from naslora_core.merge.by_layer import LayerMerge
from naslora_core.sam.build import Sam


@dataclass(frozen=True)
class LoRAFactors:
    """The update of a merged layer as low-rank factors, up @ down, of its adapter's rank.

    Attributes:
        down: LoRA's A with the cell multiplied in, (rank, in_features), float64.
        up: LoRA's B times `scaling`, (out_features, rank), float64.
    """

    down: Tensor
    up: Tensor

    def delta_weight(self) -> Tensor:
        """Return the update, (out_features, in_features), float64."""
        return self.up @ self.down


@dataclass(frozen=True)
class Merged:
    """A merged model, and its update as LoRA factors where it has low rank.

    Attributes:
        sam: the model, frozen and in evaluation mode.
        factors: the updates by layer name, where all of them are of low rank; else empty.
        layers: how each layer was merged, where the merge says so.
    """

    sam: Sam
    factors: dict[str, LoRAFactors] = field(default_factory=dict)
    layers: list[LayerMerge] = field(default_factory=list)


@torch.no_grad()
def linear_layer(base: nn.Linear, delta_weight: Tensor, delta_bias: Tensor | None = None) -> nn.Linear:
    """Return an ordinary layer with updated parameters, added in float64 and stored in the base's dtype."""
    layer = nn.Linear(base.in_features, base.out_features, base.bias is not None, base.weight.device, base.weight.dtype)
    layer.weight.copy_(base.weight.double() + delta_weight)
    if base.bias is not None:
        layer.bias.copy_(base.bias if delta_bias is None else base.bias.double() + delta_bias)
    return layer


def low_rank_adapters(sam: Sam, mode: str) -> dict[str, LowRankAdapter]:
    """Return the low-rank adapters of a model, which a merge treats as two projections around a branch.

    Args:
        mode: the merge that asks.

    Raises:
        MergeError: if there is one of another kind.
    """
    found = {}
    for name, adapter in find_adapters(sam).items():
        if not isinstance(adapter, LowRankAdapter):
            raise MergeError(
                f"merge.mode {mode} needs lora_A and lora_B, which {name}, a {type(adapter).__name__}, does not have; "
                "use merge.mode exact"
            )
        found[name] = adapter
    return found


def with_layers(sam: Sam, layers: Mapping[str, nn.Linear]) -> Sam:
    """Return a copy of an adapted model with some adapters replaced by given layers; the original is untouched."""
    # With the new layers in deepcopy's memo neither they nor the adapters they replace are copied.
    merged = copy.deepcopy(sam, {id(sam.get_submodule(name)): layer for name, layer in layers.items()})
    return merged.requires_grad_(False).eval()
