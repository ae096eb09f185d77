"""Convolution at another scale of the feature map."""

import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.ops.base import OPS, Primitive, convolve
from naslora_core.ops.initial import near_identity


class _MultiScaleConvolution(Primitive):
    """Enlarge, convolve 3x3, apply GELU, shrink: the expert of Conv-LoRA (arXiv:2401.17868, section 3.2).

    Without the GELU it would be linear, but still not one convolution: how it treats a token depends on the
    token's distance from the border, which bicubic interpolation continues.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__(channels)
        self.scale = scale
        self.weight = nn.Parameter(near_identity(channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        size = (x.shape[-2], x.shape[-1])
        enlarged = F.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False)
        filtered = F.gelu(convolve(enlarged, self.weight))
        return F.interpolate(filtered, size=size, mode="bicubic", align_corners=False)


@OPS.register("ms_conv_2x")
class MultiScaleConvolution2x(_MultiScaleConvolution):
    """Convolve at twice the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, scale=2)


@OPS.register("ms_conv_4x")
class MultiScaleConvolution4x(_MultiScaleConvolution):
    """Convolve at four times the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, scale=4)
