"""Convolutions with trained weights: dense, depthwise and dilated, without norm or activation."""

import torch
from torch import Tensor, nn

from naslora_core.ops.base import OPS, Primitive, identity_kernel, pad_kernel

# Small against the identity they start from, large enough that no two operations start alike.
_INITIAL_NOISE = 0.1


class _Convolution(Primitive):
    """A dense convolution that starts near the identity.

    Starting there, a softmax over n operations passes the signal on at once instead of shrinking it n-fold
    (an own choice: the paper's initialisation is not known).
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels)
        noise = torch.randn(channels, channels, size, size) * _INITIAL_NOISE / (channels * size**2) ** 0.5
        self.weight = nn.Parameter(pad_kernel(identity_kernel(channels), size) + noise)

    def as_kernel(self) -> Tensor:
        """Return the trained kernel, (C, C, k, k)."""
        return self.weight


@OPS.register("conv_1x1")
class PointwiseConvolution(_Convolution):
    """Mix channels token by token; it merges exactly."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1)


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


@OPS.register("dw_conv_3x3")
class DepthwiseConvolution3x3(Primitive):
    """Filter every channel by itself over 3x3 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        weight = torch.randn(channels, 3, 3) * _INITIAL_NOISE / 3
        weight[:, 1, 1] += 1
        self.weight = nn.Parameter(weight)

    def as_kernel(self) -> Tensor:
        """Return the filters on the diagonal of (C, C, 3, 3)."""
        return torch.diag_embed(self.weight.permute(1, 2, 0)).permute(2, 3, 0, 1)


@OPS.register("dil_conv_3x3")
class DilatedConvolution3x3(_Convolution):
    """Mix channels over every second token of 5x5 (dilation 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3)

    def as_kernel(self) -> Tensor:
        """Return the kernel with its gaps filled by zeros, (C, C, 5, 5)."""
        kernel = self.weight.new_zeros(self.channels, self.channels, 5, 5)
        kernel[:, :, ::2, ::2] = self.weight
        return kernel
