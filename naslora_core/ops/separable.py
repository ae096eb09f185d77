"""Separable convolutions: one filter a channel, then a mixing of channels.

DARTS (arXiv:1806.09055) puts a ReLU before and a batch norm behind, and applies its sep_conv twice. Without
these an operation stays linear, so that it costs nothing to search over and can be folded.
"""

from functools import partial

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive
from naslora_core.ops.initial import near_identity, near_identity_filters


class SeparableConvolution(LinearPrimitive):
    """Filter `size` x `size` tokens, or with a dilation of 2 every second token, then mix channels."""

    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__(channels)
        self.dilation = dilation
        self.depthwise = nn.Parameter(near_identity_filters(channels, size))
        self.pointwise = nn.Parameter(near_identity(channels, 1))

    def taps(self) -> Tensor:
        """Return the product of both factors, (C, C, size, size)."""
        return self.pointwise * self.depthwise


for name, dilation in (("sep_conv", 1), ("dil_conv", 2)):
    for size in (3, 5):
        OPS.register(f"{name}_{size}x{size}")(partial(SeparableConvolution, size=size, dilation=dilation))
