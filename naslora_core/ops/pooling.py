"""Pooling with stride 1."""

import torch
from torch import Tensor

from naslora_core.ops.base import OPS, Primitive, identity_kernel


@OPS.register("avg_pool_3x3")
class AveragePooling3x3(Primitive):
    """Average 3x3 tokens; the zeros outside the grid count, without which it would not be a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        kernel = identity_kernel(channels) * torch.full((3, 3), 1 / 9)
        self.register_buffer("_kernel", kernel, persistent=False)

    def as_kernel(self) -> Tensor:
        """Return 1/9 on the channel diagonal, (C, C, 3, 3)."""
        return self.get_buffer("_kernel")
