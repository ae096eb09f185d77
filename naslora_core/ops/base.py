"""What every candidate operation is, and where it is registered."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.registry import Registry


class Primitive(nn.Module):
    """A linear, translation-invariant map of `channels` feature maps, (B, C, H, W) to the same shape.

    Outside the grid everything is zero. A primitive is its kernel: `as_kernel` says what it computes, and
    a weighted sum of primitives is one convolution with the weighted sum of their kernels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def as_kernel(self) -> Tensor:
        """Return the kernel, (C_out, C_in, k, k) with odd k; k = 1 is a pointwise map, which merges exactly."""
        raise TypeError(f"{type(self).__name__} must say what it computes by as_kernel()")

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation to (B, C, H, W)."""
        return convolve(x, self.as_kernel())


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve (B, C, H, W) with an odd kernel (C_out, C, k, k), zero-padded to keep H and W."""
    return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def identity_kernel(channels: int) -> Tensor:
    """Return the pointwise kernel (C, C, 1, 1) that changes nothing."""
    return torch.eye(channels)[:, :, None, None]


def pad_kernel(kernel: Tensor, size: int) -> Tensor:
    """Return the same map as a kernel of side `size`, with zeros around it."""
    margin = (size - kernel.shape[-1]) // 2
    return F.pad(kernel, (margin, margin, margin, margin))


OPS: Registry[Callable[[int], Primitive]] = Registry("operation")
