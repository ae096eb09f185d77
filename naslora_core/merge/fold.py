"""Merge `fold`: add what stays on one token to the frozen weight, and keep the rest beside it.

A spatial operation on tokens is no weight of a linear layer, so it cannot vanish into W0. What stays is
W_d K W_e with the mixed kernel K, without its centre tap, or with a filter of waves: exact but for rounding.
"""

import torch
from torch import Tensor, nn

from naslora_core.adapters import LowRankAdapter
from naslora_core.cell.kernels import EdgeKernels
from naslora_core.merge.exact import exact_factors
from naslora_core.merge.folded_linear import FoldedLinear
from naslora_core.merge.layers import Merged, linear_layer, low_rank_adapters, with_layers
from naslora_core.sam.build import Sam


def fold(sam: Sam) -> Merged:
    """Return a merged copy of an adapted SAM; the original is untouched.

    A layer whose cell is pointwise becomes an ordinary linear layer again.

    Raises:
        MergeError: if a cell is made neither of convolutions nor of waves.
    """
    adapters = low_rank_adapters(sam, "fold")
    return Merged(with_layers(sam, {name: fold_layer(adapter) for name, adapter in adapters.items()}))


@torch.no_grad()
def fold_layer(adapter: LowRankAdapter) -> nn.Linear:
    """Return the merged layer of one adapter, computed in float64 and stored in the base layer's dtype.

    Rings of a kernel and channels that are zero are cut off; where nothing is left, it is an ordinary layer.

    Raises:
        MergeError: if the branch is made neither of convolutions nor of waves.
    """
    base, up, down = adapter.base_layer, adapter.scaling * adapter.lora_B.double(), adapter.lora_A.double()
    if (gains := adapter.branch_gains()) is not None:
        gains = gains.double()
        used = gains.flatten(1).any(1) & up.any(0) & down.any(1)
        if not used.any():
            return linear_layer(base, up @ down)
        parts = down[used], gains[used], up[:, used]
        return FoldedLinear.from_parts(linear_layer(base, up @ down), *parts, adapter.windows)
    kernels: EdgeKernels = {edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()}
    if all(kernel.shape[-1] == 1 for kernel in kernels.values()):
        return linear_layer(base, exact_factors(adapter).delta_weight())
    inside = torch.zeros_like(base.weight, dtype=torch.float64)
    if len(kernels) == 1:
        # With several nodes the centre of one kernel is not the centre of the cell.
        kernel = kernels[0, 1].clone()
        centre = kernel.shape[-1] // 2
        inside = up @ kernel[:, :, centre, centre] @ down
        kernel[:, :, centre, centre] = 0
        kernel *= (up.any(0)[:, None] & down.any(1))[:, :, None, None]
        taps = kernel.any(-1).any(-1)
        used = taps.any(0) | taps.any(1)
        if not used.any():
            return linear_layer(base, inside)
        kernels, down, up = {(0, 1): kernel[used][:, used]}, down[used], up[:, used]
    cut = {edge: _cut_rings(kernel) for edge, kernel in kernels.items()}
    return FoldedLinear.from_parts(linear_layer(base, inside), down, cut, up, adapter.windows)


def _cut_rings(kernel: Tensor) -> Tensor:
    """Return a kernel (C, C, k, k) without its outermost rings of zeros."""
    while kernel.shape[-1] > 1:
        ring = kernel.clone()
        ring[:, :, 1:-1, 1:-1] = 0
        if ring.any():
            break
        kernel = kernel[:, :, 1:-1, 1:-1]
    return kernel
