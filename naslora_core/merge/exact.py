"""Merge `exact`: add the whole update to the frozen weight, at no inference cost."""

import torch
from torch import nn

from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.adapters.base import Adapter
from naslora_core.cell.kernels import as_matrix
from naslora_core.merge.by_layer import LayerMerge
from naslora_core.merge.layers import LoRAFactors, Merged, linear_layer, with_layers
from naslora_core.sam.build import Sam

_REASON = "its branch maps single tokens"


def exact(sam: Sam) -> Merged:
    """Return a merged copy of an adapted SAM, with upstream's keys; the original is untouched.

    Raises:
        MergeError: if an adapter reads neighbouring tokens, or has no merge of its own.

    Source: arXiv:2106.09685, section 4.1.
    """
    factors, layers = {}, {}
    adapters = find_adapters(sam)
    for name, adapter in adapters.items():
        layers[name], update = exact_layer(adapter)
        if update is not None:
            factors[name] = update
    complete = factors if len(factors) == len(adapters) else {}
    return Merged(with_layers(sam, layers), complete, [exact_note(name) for name in layers])


def exact_layer(adapter: Adapter) -> tuple[nn.Linear, LoRAFactors | None]:
    """Return the merged layer of one adapter, and its update as factors where it has low rank.

    Raises:
        MergeError: if the adapter reads neighbouring tokens, or has no merge of its own.
    """
    if isinstance(adapter, LowRankAdapter):
        update = exact_factors(adapter)
        return linear_layer(adapter.base_layer, update.delta_weight()), update
    return linear_layer(adapter.base_layer, adapter.delta_weight(), adapter.delta_bias()), None


def exact_note(name: str) -> LayerMerge:
    """Return the entry of an exactly merged layer."""
    return LayerMerge(layer=name, merge="exact", reason=_REASON)


@torch.no_grad()
def exact_factors(adapter: LowRankAdapter) -> LoRAFactors:
    """Return an adapter's update, with the matrix of its cell multiplied into lora_A.

    Raises:
        MergeError: if the cell reads neighbouring tokens.
    """
    cell = as_matrix({edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()})
    return LoRAFactors(cell @ adapter.lora_A.double(), adapter.scaling * adapter.lora_B.double())
