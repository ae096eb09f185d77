"""The branches of folded layers, on tokens as SAM keeps them in memory: (B, H, W, C), channels last."""

from functools import lru_cache
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from naslora_core.ops.frequency import waves


def convolve_tokens(z: Tensor, kernel: Tensor) -> Tensor:
    """Convolve (B, H, W, C) with a kernel (k * k * C, C_out), zero-padded to keep H and W.

    On so few channels, gathering neighbours and one matrix product are faster than a library's convolution
    with its changes of layout.
    """
    batch, height, width, channels = z.shape
    size = isqrt(len(kernel) // channels)
    if size == 1:
        return z @ kernel
    margin = size // 2
    padded = F.pad(z, (0, 0, margin, margin, margin, margin))
    row = (width + 2 * margin) * channels
    # The neighbours in one row of the kernel lie side by side in memory, channels and all.
    neighbours = padded.as_strided(
        (batch, height, width, size, size * channels), ((height + 2 * margin) * row, row, channels, row, 1)
    )
    return (neighbours.reshape(-1, len(kernel)) @ kernel).view(batch, height, width, -1)


def filter_tokens(z: Tensor, gains: Tensor) -> Tensor:
    """Return what `naslora_core.ops.frequency.filter_waves` does, of (B, H, W, C) and gains (m, m, C).

    The waves of the plane in one table make two products of four: on few tokens it is their number that costs.
    """
    batch, height, width, channels = z.shape
    rows, columns = min(height, len(gains)), min(width, len(gains))
    # A tensor made while torch traces a graph has no values, and must not stay in a cache.
    make = plane_waves.__wrapped__ if torch.compiler.is_compiling() else plane_waves
    table = make(height, width, rows, columns, z.dtype, z.device)
    spectrum = table @ z.reshape(batch, height * width, channels)
    filtered = table.t() @ (spectrum * gains[:rows, :columns].reshape(-1, channels).to(spectrum.dtype))
    return filtered.view(batch, height, width, channels)


@lru_cache(maxsize=64)
def plane_waves(height: int, width: int, rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the waves of a plane, (rows * columns, height * width), from the lowest ones of its two sides."""
    down, across = (
        waves.__wrapped__(side, count, torch.float64, torch.device("cpu"))
        for side, count in ((height, rows), (width, columns))
    )
    return torch.kron(down, across).to(dtype=dtype, device=device)
