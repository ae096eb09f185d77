"""Merge `fold`: the cell's centre goes into the frozen weight, the rest is one small convolution.

A spatial operation on tokens is no weight of a linear layer, so it cannot vanish into W0. What stays is
W_d K W_e with the mixed kernel K, without its centre tap: exact but for rounding.
"""

import torch

from naslora_core.adapters import LowRankAdapter
from naslora_core.merge.exact import exact_factors
from naslora_core.merge.folded_linear import FoldedLinear
from naslora_core.merge.method import Merged, linear_layer, low_rank_adapters, with_layers
from naslora_core.sam.build import Sam


def fold(sam: Sam) -> Merged:
    """Return a merged copy of an adapted SAM; the original is untouched.

    A layer whose cell is pointwise becomes an ordinary linear layer again.

    Raises:
        MergeError: if a cell is not made of convolutions.
    """
    adapters = low_rank_adapters(sam, "fold")
    return Merged(with_layers(sam, {name: fold_layer(adapter) for name, adapter in adapters.items()}))


@torch.no_grad()
def fold_layer(adapter: LowRankAdapter) -> torch.nn.Linear:
    """Return the merged layer of one adapter, computed in float64 and stored in the base layer's dtype."""
    kernels = {edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()}
    if all(kernel.shape[-1] == 1 for kernel in kernels.values()):
        return linear_layer(adapter.base_layer, exact_factors(adapter).delta_weight())
    up, down = adapter.scaling * adapter.lora_B.double(), adapter.lora_A.double()
    inside = torch.zeros_like(adapter.base_layer.weight, dtype=torch.float64)
    if len(kernels) == 1:
        # With several nodes the centre of one kernel is not the centre of the cell.
        kernel = kernels[0, 1].clone()
        centre = kernel.shape[-1] // 2
        inside = up @ kernel[:, :, centre, centre] @ down
        kernel[:, :, centre, centre] = 0
        kernels = {(0, 1): kernel}
    return FoldedLinear.from_parts(linear_layer(adapter.base_layer, inside), down, kernels, up)
