"""Merge `exact`: add the whole update to the frozen weight, at no inference cost."""

import torch

from naslora_core.adapted.state import find_adapters
from naslora_core.adapters import LowRankAdapter
from naslora_core.cell.kernels import as_matrix
from naslora_core.merge.layers import LoRAFactors, Merged, linear_layer, with_layers
from naslora_core.sam.build import Sam


def exact(sam: Sam) -> Merged:
    """Return a merged copy of an adapted SAM, with upstream's keys; the original is untouched.

    Raises:
        MergeError: if an adapter reads neighbouring tokens, or has no merge of its own.

    Source: arXiv:2106.09685, section 4.1.
    """
    factors, layers = {}, {}
    adapters = find_adapters(sam)
    for name, adapter in adapters.items():
        if isinstance(adapter, LowRankAdapter):
            factors[name] = exact_factors(adapter)
            layers[name] = linear_layer(adapter.base_layer, factors[name].delta_weight())
        else:
            layers[name] = linear_layer(adapter.base_layer, adapter.delta_weight(), adapter.delta_bias())
    return Merged(with_layers(sam, layers), factors if len(factors) == len(adapters) else {})


@torch.no_grad()
def exact_factors(adapter: LowRankAdapter) -> LoRAFactors:
    """Return an adapter's update, with the matrix of its cell multiplied into lora_A.

    Raises:
        MergeError: if the cell reads neighbouring tokens.
    """
    cell = as_matrix({edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()})
    return LoRAFactors(cell @ adapter.lora_A.double(), adapter.scaling * adapter.lora_B.double())
