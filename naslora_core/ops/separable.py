"""Separable convolutions: one filter a channel, then a mixing of channels.

DARTS (arXiv:1806.09055) puts a ReLU before and a batch norm behind, and applies its sep_conv twice. Without
these an operation stays linear, so that it costs nothing to search over and can be folded.
"""

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive
from naslora_core.ops.initial import near_identity, near_identity_filters


class _SeparableConvolution(LinearPrimitive):
    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__(channels)
        self.dilation = dilation
        self.depthwise = nn.Parameter(near_identity_filters(channels, size))
        self.pointwise = nn.Parameter(near_identity(channels, 1))

    def taps(self) -> Tensor:
        """Return the product of both factors, (C, C, k, k)."""
        return self.pointwise * self.depthwise


@OPS.register("sep_conv_3x3")
class SeparableConvolution3x3(_SeparableConvolution):
    """Filter 3x3 tokens, then mix channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3)


@OPS.register("sep_conv_5x5")
class SeparableConvolution5x5(_SeparableConvolution):
    """Filter 5x5 tokens, then mix channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 5)


@OPS.register("dil_conv_3x3")
class DilatedConvolution3x3(_SeparableConvolution):
    """Filter every second token of 5x5, then mix channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3, dilation=2)


@OPS.register("dil_conv_5x5")
class DilatedConvolution5x5(_SeparableConvolution):
    """Filter every second token of 9x9, then mix channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 5, dilation=2)
