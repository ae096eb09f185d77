"""A filter in the frequencies of the grid: every token hears of the whole image, by few numbers."""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from naslora_core.ops.base import OPS, Primitive

# Waves of up to three and a half periods across the grid: what convolutions of a few tokens cannot see.
WAVES = 8


@OPS.register("dct_filter")
class FrequencyFilter(Primitive):
    """y = z + D' (gains * (D z D')) D, channel by channel, with the lowest waves of the cosine transform in D.

    Linear, but no convolution: how it treats a token depends on where in the image that is. The gains belong to
    waves, so that they serve grids of any size.

    Source: the idea of adapting in frequency is Earth-Adapter's (arXiv:2504.06220) and LoCA's (arXiv:2502.06820);
    a filter of the tokens' lowest waves is ours.
    """

    sees_image = True

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gains = nn.Parameter(torch.randn(channels, WAVES, WAVES) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + filter_waves(x, self.gains)


def filter_waves(x: Tensor, gains: Tensor) -> Tensor:
    """Return D' (gains * (D x D')) D of feature maps (B, C, H, W), for gains (C, m, m) of the m lowest waves.

    A grid of fewer than m tokens has only as many waves as tokens.
    """
    height, width = x.shape[-2:]
    rows, columns = (waves(side, min(side, gains.shape[-1]), x.dtype, x.device) for side in (height, width))
    spectrum = rows @ x @ columns.t() * gains[:, : len(rows), : len(columns)].to(x.dtype)
    return rows.t() @ spectrum @ columns


@lru_cache(maxsize=64)
def waves(side: int, count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the lowest rows of the orthonormal cosine transform DCT-II, (count, side)."""
    places = (torch.arange(side, dtype=torch.float64) + 0.5) * math.pi / side
    table = torch.cos(torch.arange(count, dtype=torch.float64)[:, None] * places) * (2 / side) ** 0.5
    table[0] *= 0.5**0.5
    return table.to(dtype=dtype, device=device)
