"""Dense convolutions with trained weights, without norm or activation."""

from torch import Tensor, nn

from naslora_core.ops.base import OPS, LinearPrimitive, PointwisePrimitive
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


class _Convolution(LinearPrimitive):
    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(near_identity(channels, size))

    def taps(self) -> Tensor:
        """Return the trained kernel, (C, C, k, k)."""
        return self.weight


@OPS.register("conv_3x3")
class Convolution3x3(_Convolution):
    """Mix channels over 3x3 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3)


@OPS.register("conv_5x5")
class Convolution5x5(_Convolution):
    """Mix channels over 5x5 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 5)
