"""The weighted sum of kernels of several sizes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from naslora_core.ops import LinearPrimitive


class KernelMixer(nn.Module):
    """Return sum_i weights_i K_i as one kernel.

    It runs in every layer and every step, on kernels so tiny that the number of calls is what costs. So no
    kernel is padded: all taps are added to their places in the sum at once.

    Args:
        ops: the operations of a search space by their index in it; at least one.
    """

    def __init__(self, ops: Sequence[tuple[int, LinearPrimitive]]) -> None:
        super().__init__()
        shapes = [op.taps().shape for _, op in ops]
        reaches = [op.dilation * (shape[-1] - 1) + 1 for (_, op), shape in zip(ops, shapes, strict=True)]
        side = max(reaches)
        self.shape = (*shapes[0][:2], side, side)
        numbers = torch.arange(torch.Size(self.shape).numel()).view(self.shape)
        places, owners = [], []
        for (index, op), shape, reach in zip(ops, shapes, reaches, strict=True):
            first = (side - reach) // 2
            inside = slice(first, first + reach, op.dilation)
            places.append(numbers[..., inside, inside].reshape(-1))
            owners.append(torch.full((shape.numel(),), index))
        self.register_buffer("_places", torch.cat(places), persistent=False)
        self.register_buffer("_owners", torch.cat(owners), persistent=False)

    def forward(self, weights: Tensor, ops: Sequence[tuple[int, LinearPrimitive]]) -> Tensor:
        """Return the mixed kernel, (C, C, k, k) with the k of the largest operation.

        Args:
            weights: of all operations of the space, (len(space),).
            ops: those the mixer was made for.
        """
        taps = torch.cat([op.taps().reshape(-1) for _, op in ops])
        weighted = taps * weights.index_select(0, self.get_buffer("_owners"))
        mixed = weighted.new_zeros(self.shape).view(-1)
        return mixed.index_add(0, self.get_buffer("_places"), weighted).view(self.shape)
