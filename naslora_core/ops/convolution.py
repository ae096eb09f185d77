"""Dense convolutions with trained weights, without norm or activation."""

from functools import partial

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive, PointwisePrimitive, taps_of
from naslora_core.ops.initial import near_identity


@OPS.register("conv_1x1")
class PointwiseConvolution(PointwisePrimitive):
    """Mix channels token by token."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(near_identity(channels, 1))

    def taps(self) -> Tensor:
        """Return the trained kernel, (C, C, 1, 1)."""
        return self.weight

    def adopt(self, kernel: Tensor) -> None:
        """Take over the middle tap of a kernel (C, C, k, k)."""
        self.weight.data.copy_(taps_of(kernel, 1))


class Convolution(LinearPrimitive):
    """Mix channels over `size` x `size` tokens."""

    def __init__(self, channels: int, size: int, sees_image: bool = False) -> None:
        super().__init__(channels)
        self.sees_image = sees_image
        self.weight = nn.Parameter(near_identity(channels, size))

    def taps(self) -> Tensor:
        """Return the trained kernel, (C, C, size, size)."""
        return self.weight

    def adopt(self, kernel: Tensor) -> None:
        """Take over the middle taps of a kernel (C, C, k, k)."""
        self.weight.data.copy_(taps_of(kernel, self.weight.shape[-1]))


for size in (3, 5):
    OPS.register(f"conv_{size}x{size}")(partial(Convolution, size=size))
    OPS.register(f"image_conv_{size}x{size}")(partial(Convolution, size=size, sees_image=True))
