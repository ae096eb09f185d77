"""Merge `fold`: the cell's centre goes into the frozen weight, the rest is one small convolution.

A spatial operation on tokens is no weight of a linear layer, so it cannot vanish into W0. What stays is
W_d K W_e with the mixed kernel K, without its centre tap: exact but for rounding.
"""

import copy

import torch
from torch import Tensor, nn

from naslora_core.adapters import Adapter
from naslora_core.inject import find_adapters
from naslora_core.ops.base import convolve
from naslora_core.sam.build import Sam


class FoldedLinear(nn.Linear):
    """A linear layer with a k x k convolution on a few channels beside it.

    `weight` and `bias` keep upstream's names, so that a checkpoint differs from SAM's by three tensors a layer.

    Args:
        in_features: channels of the input.
        out_features: channels of the output.
        rank: channels of the convolution.
        kernel_size: its side, odd.
        bias: whether the linear layer has one.
    """

    def __init__(self, in_features: int, out_features: int, rank: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        self.fold_A = nn.Parameter(torch.zeros(rank, in_features))
        self.fold_kernel = nn.Parameter(torch.zeros(rank, rank, kernel_size, kernel_size))
        self.fold_B = nn.Parameter(torch.zeros(out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        z = nn.functional.linear(x, self.fold_A).permute(0, 3, 1, 2)
        spatial = nn.functional.linear(convolve(z, self.fold_kernel).permute(0, 2, 3, 1), self.fold_B)
        return super().forward(x) + spatial


def fold(sam: Sam) -> Sam:
    """Return a merged copy of an adapted SAM; the original is untouched.

    A layer whose kernel is pointwise becomes an ordinary linear layer again.

    Raises:
        MergeError: if a branch is not a convolution.
    """
    merged = copy.deepcopy(sam)
    for name, adapter in find_adapters(merged).items():
        parent, _, attribute = name.rpartition(".")
        setattr(merged.get_submodule(parent), attribute, fold_layer(adapter))
    return merged.requires_grad_(False).eval()


@torch.no_grad()
def fold_layer(adapter: Adapter) -> nn.Linear:
    """Return the merged layer of one adapter, computed in float64 and stored in the base layer's dtype."""
    base = adapter.base_layer
    kernel = adapter.branch_kernel().double()
    up, down = adapter.scaling * adapter.lora_B.double(), adapter.lora_A.double()
    centre = kernel.shape[-1] // 2
    weight = base.weight.double() + up @ kernel[:, :, centre, centre] @ down
    around = kernel.clone()
    around[:, :, centre, centre] = 0
    has_bias = base.bias is not None
    if not around.any():
        layer = nn.Linear(base.in_features, base.out_features, has_bias)
    else:
        layer = FoldedLinear(base.in_features, base.out_features, adapter.rank, kernel.shape[-1], has_bias)
        layer.fold_A.copy_(down)
        layer.fold_kernel.copy_(around)
        layer.fold_B.copy_(up)
    layer.weight.copy_(weight)
    if has_bias:
        layer.bias.copy_(base.bias)
    return layer.to(base.weight.dtype)
