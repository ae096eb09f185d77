"""One edge of NAS-PC-LoRA: only part of the channels goes through the operations."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from naslora_core.cell.mixed_op import MixedOp
from naslora_core.ops.base import identity_kernel, pad_kernel


class PartialMixedOp(nn.Module):
    """Mix operations on the first 1/k of the channels, pass the rest by, and shuffle (PC-DARTS, arXiv:1907.05737).

    Args:
        channels: of the feature maps, a multiple of `partial_channel_k`.
        space: names of the candidate operations.
        partial_channel_k: one k-th of the channels takes part.
        shuffle: interleave the channels behind, as in ShuffleNet (arXiv:1707.01083), so that the next edge
            takes others. Where none follows it would only renumber the columns of lora_B.
    """

    def __init__(self, channels: int, space: Sequence[str], partial_channel_k: int, shuffle: bool) -> None:
        super().__init__()
        self.channels, self.groups, self.shuffle = channels, partial_channel_k, shuffle
        self.active = channels // partial_channel_k
        self.mixed_op = MixedOp(self.active, space)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return self._shuffled(torch.cat([self.mixed_op(z[:, : self.active]), z[:, self.active :]], dim=1), dim=1)

    def as_kernel(self) -> Tensor:
        """Return the whole edge, bypass and shuffle with it, as one kernel (C, C, k, k).

        Raises:
            MergeError: if an operation that is left is not linear and translation-invariant.
        """
        mixed = self.mixed_op.as_kernel()
        kernel = pad_kernel(identity_kernel(self.channels).to(mixed), mixed.shape[-1]).clone()
        kernel[: self.active, : self.active] = mixed
        return self._shuffled(kernel, dim=0)

    def _shuffled(self, x: Tensor, dim: int) -> Tensor:
        if not self.shuffle:
            return x
        return x.unflatten(dim, (self.groups, self.active)).transpose(dim, dim + 1).flatten(dim, dim + 1)
