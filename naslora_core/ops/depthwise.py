"""Convolutions that filter every channel by itself, dense or dilated."""

from functools import partial

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive, identity_kernel
from naslora_core.ops.initial import near_identity_filters


class DepthwiseConvolution(LinearPrimitive):
    """Filter every channel by itself over `size` x `size` tokens; with a dilation of 2, over every second token."""

    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__(channels)
        self.dilation = dilation
        self.weight = nn.Parameter(near_identity_filters(channels, size))
        self.register_buffer("_own_channel", identity_kernel(channels), persistent=False)

    def taps(self) -> Tensor:
        """Return the filters on the channel diagonal, (C, C, size, size)."""
        return self.get_buffer("_own_channel") * self.weight


for size in (3, 5):
    OPS.register(f"dw_conv_{size}x{size}")(partial(DepthwiseConvolution, size=size))
# As in DD-Adapter: nine of 5x5 tokens.
OPS.register("dw_dil_conv_3x3")(partial(DepthwiseConvolution, size=3, dilation=2))
