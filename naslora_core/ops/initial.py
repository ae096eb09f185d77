"""Initialise trained operations near the identity.

Starting there, a softmax over n operations passes the signal on at once instead of shrinking it n-fold
(an own choice: the paper's initialisation is not known).
"""

import torch
from torch import Tensor

from naslora_core.ops.base import identity_kernel, pad_kernel

# Small against the identity they start from, large enough that no two operations start alike.
_NOISE = 0.1


def near_identity(channels: int, size: int) -> Tensor:
    """Return a near-identity dense kernel, (C, C, size, size)."""
    noise = torch.randn(channels, channels, size, size) * _NOISE / (channels * size**2) ** 0.5
    return pad_kernel(identity_kernel(channels), size) + noise


def near_identity_filters(channels: int, size: int) -> Tensor:
    """Return one near-identity filter per channel, (C, size, size)."""
    filters = torch.randn(channels, size, size) * _NOISE / size
    filters[:, size // 2, size // 2] += 1
    return filters
