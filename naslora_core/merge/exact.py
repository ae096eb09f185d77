"""Merge `exact`: the whole update goes into the frozen weight, which costs nothing at inference."""

import torch

from naslora_core.adapters import Adapter
from naslora_core.cell.kernels import as_matrix
from naslora_core.inject import find_adapters
from naslora_core.merge.method import LoRAFactors, Merged, linear_layer, with_layers
from naslora_core.sam.build import Sam


def exact(sam: Sam) -> Merged:
    """Return a merged copy of an adapted SAM, with upstream's keys; the original is untouched.

    Raises:
        MergeError: if a cell looks at neighbouring tokens.

    Source: arXiv:2106.09685, section 4.1.
    """
    adapters = find_adapters(sam)
    factors = {name: exact_factors(adapter) for name, adapter in adapters.items()}
    layers = {name: linear_layer(adapters[name].base_layer, update.delta_weight()) for name, update in factors.items()}
    return Merged(with_layers(sam, layers), factors)


@torch.no_grad()
def exact_factors(adapter: Adapter) -> LoRAFactors:
    """Return an adapter's update, with the matrix of its cell multiplied into lora_A.

    Raises:
        MergeError: if the cell looks at neighbouring tokens.
    """
    cell = as_matrix({edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()})
    return LoRAFactors(cell @ adapter.lora_A.double(), adapter.scaling * adapter.lora_B.double())
