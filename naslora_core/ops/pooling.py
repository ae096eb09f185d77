"""Pooling with stride 1."""

import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.ops.base import OPS, LinearPrimitive, Primitive, identity_kernel


@OPS.register("avg_pool_3x3")
class AveragePooling3x3(LinearPrimitive):
    """Average 3x3 tokens; the zeros outside the grid count, without which it would not be a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        kernel = identity_kernel(channels) * torch.full((3, 3), 1 / 9)
        self.register_buffer("_kernel", kernel, persistent=False)

    def taps(self) -> Tensor:
        """Return 1/9 on the channel diagonal, (C, C, 3, 3)."""
        return self.get_buffer("_kernel")


@OPS.register("max_pool_3x3")
class MaximumPooling3x3(Primitive):
    """Return the maximum of 3x3 tokens, channel by channel; not linear, so it has no kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, C, H, W), ignoring what lies outside the grid."""
        return F.max_pool2d(x, kernel_size=3, stride=1, padding=1)
