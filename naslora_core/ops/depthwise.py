"""Convolutions that filter every channel by itself, dense or dilated."""

from functools import partial

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive, identity_kernel, taps_of
from naslora_core.ops.initial import near_identity_filters


class DepthwiseConvolution(LinearPrimitive):
    """Filter every channel by itself over `size` x `size` tokens; with a dilation of 2, over every second token."""

    def __init__(self, channels: int, size: int, dilation: int = 1, sees_image: bool = False) -> None:
        super().__init__(channels)
        self.dilation, self.sees_image = dilation, sees_image
        self.weight = nn.Parameter(near_identity_filters(channels, size))
        self.register_buffer("_own_channel", identity_kernel(channels), persistent=False)

    def taps(self) -> Tensor:
        """Return the filters on the channel diagonal, (C, C, size, size)."""
        return self.get_buffer("_own_channel") * self.weight

    def adopt(self, kernel: Tensor) -> None:
        """Take over what a kernel (C, C, k, k) does within each channel, at the places of this one's taps."""
        within = kernel.diagonal(dim1=0, dim2=1).movedim(-1, 0)
        self.weight.data.copy_(taps_of(within, self.weight.shape[-1], self.dilation))


for size in (3, 5):
    OPS.register(f"dw_conv_{size}x{size}")(partial(DepthwiseConvolution, size=size))
    OPS.register(f"image_dw_conv_{size}x{size}")(partial(DepthwiseConvolution, size=size, sees_image=True))
# As in DD-Adapter: nine of 5x5 tokens.
OPS.register("dw_dil_conv_3x3")(partial(DepthwiseConvolution, size=3, dilation=2))
OPS.register("image_dw_dil_conv_3x3")(partial(DepthwiseConvolution, size=3, dilation=2, sees_image=True))
