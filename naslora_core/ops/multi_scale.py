"""Convolution of the enlarged feature map."""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.ops.base import OPS, Primitive
from naslora_core.ops.initial import near_identity


def convolve_at_scale(x: Tensor, kernel: Tensor, scale: int, bias: Tensor | None = None) -> Tensor:
    """Enlarge (B, C, H, W), convolve 3x3, apply GELU, shrink: the expert of Conv-LoRA (arXiv:2401.17868).

    Args:
        x: the feature maps.
        kernel: (C, C, 3, 3).
        scale: how many times as high and as wide the maps are while they are convolved.
        bias: (C,).
    """
    size = (x.shape[-2], x.shape[-1])
    enlarged = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False) if scale > 1 else x
    filtered = F.gelu(F.conv2d(enlarged, kernel, bias, padding=1))
    return F.interpolate(filtered, size=size, mode="bicubic", align_corners=False) if scale > 1 else filtered


class MultiScaleConvolution(Primitive):
    """Convolve at `scale` times the resolution: Conv-LoRA's expert as an operation (arXiv:2401.17868, section 3.2).

    Without the GELU it would be linear, but still not one convolution: how it treats a token depends on the
    token's distance from the border, which bicubic interpolation continues.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__(channels)
        self.scale = scale
        self.weight = nn.Parameter(near_identity(channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return convolve_at_scale(x, self.weight, self.scale)


for scale in (2, 4):
    OPS.register(f"ms_conv_{scale}x")(partial(MultiScaleConvolution, scale=scale))
