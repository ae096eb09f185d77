"""The searchable cell between LoRA's two projections: a softmax mixture of operations."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from naslora_core.ops import OPS, Primitive
from naslora_core.ops.base import convolve, pad_kernel


class MixedOp(nn.Module):
    """One edge: sum_i softmax(alphas)_i O_i(z) (arXiv:2512.03499; the relaxation of DARTS, arXiv:1806.09055).

    Every operation is linear, so the sum is one convolution with the mixed kernel, and `forward` runs that
    alone: searching costs what training one operation costs.

    Args:
        channels: the rank of the adapter.
        space: names of the candidate operations.
    """

    def __init__(self, channels: int, space: Sequence[str]) -> None:
        super().__init__()
        self.space = tuple(space)
        self.ops = nn.ModuleList(OPS[name](channels) for name in self.space)
        self.alphas = nn.Parameter(torch.zeros(len(self.space)))

    @property
    def op_weights(self) -> Tensor:
        """The share of every operation, (len(space),), summing to one."""
        return self.alphas.softmax(dim=0)

    def mixed_kernel(self) -> Tensor:
        """Return sum_i softmax(alphas)_i K_i, (C, C, k, k) with the k of the largest operation."""
        kernels = [op.as_kernel() for op in self.ops if isinstance(op, Primitive)]
        size = max(kernel.shape[-1] for kernel in kernels)
        padded = torch.stack([pad_kernel(kernel, size) for kernel in kernels])
        return torch.einsum("n,noihw->oihw", self.op_weights, padded)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape by one convolution."""
        return convolve(z, self.mixed_kernel())

    def forward_naively(self, z: Tensor) -> Tensor:
        """Compute the same operation by operation, as the formula is written; the reference for tests."""
        return torch.stack([weight * op(z) for weight, op in zip(self.op_weights, self.ops, strict=True)]).sum(dim=0)
