"""Convolutions that filter every channel by itself, dense or dilated."""

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive, identity_kernel
from naslora_core.ops.initial import near_identity_filters


class _DepthwiseConvolution(LinearPrimitive):
    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__(channels)
        self.dilation = dilation
        self.weight = nn.Parameter(near_identity_filters(channels, size))
        self.register_buffer("_own_channel", identity_kernel(channels), persistent=False)

    def taps(self) -> Tensor:
        """Return the filters on the channel diagonal, (C, C, k, k)."""
        return self.get_buffer("_own_channel") * self.weight


@OPS.register("dw_conv_3x3")
class DepthwiseConvolution3x3(_DepthwiseConvolution):
    """Filter every channel by itself over 3x3 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3)


@OPS.register("dw_conv_5x5")
class DepthwiseConvolution5x5(_DepthwiseConvolution):
    """Filter every channel by itself over 5x5 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 5)


@OPS.register("dw_dil_conv_3x3")
class DilatedDepthwiseConvolution3x3(_DepthwiseConvolution):
    """Filter every channel by itself over every second token of 5x5, as DD-Adapter does."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3, dilation=2)
