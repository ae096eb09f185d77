"""The base classes of candidate operations, which tell a merge how they fold, and the registry of operations."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.registry import Registry


class Primitive(nn.Module):
    """Any map of `channels` feature maps, (B, C, H, W), to the same shape; not necessarily linear.

    What a merge may do with an operation is said by its class: `PointwisePrimitive`, `LinearPrimitive`,
    or only this one.

    Attributes:
        sees_image: whether it is meant to run on the whole grid also in blocks whose attention sees windows.
        scales_base: whether it scales the frozen layer's own singular values, instead of what LoRA projects.
    """

    sees_image = False
    scales_base = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation to (B, C, H, W)."""
        raise TypeError(f"{type(self).__name__} must define forward()")


class LinearPrimitive(Primitive):
    """A linear, translation-invariant map; outside the grid everything is zero.

    Such an operation is its kernel, and a weighted sum of several is one convolution with the weighted sum
    of their kernels.

    Attributes:
        dilation: distance between two taps, in tokens.
    """

    dilation = 1

    def taps(self) -> Tensor:
        """Return the undilated kernel, (C_out, C_in, k, k) with odd k."""
        raise TypeError(f"{type(self).__name__} must say what it computes by taps()")

    def as_kernel(self) -> Tensor:
        """Return the kernel, (C_out, C_in, k, k) with odd k."""
        return dilate(self.taps(), self.dilation)

    def adopt(self, kernel: Tensor) -> None:
        """Take over what this operation can compute of a kernel (C, C, k, k); nothing, if it has no weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation to (B, C, H, W)."""
        return convolve(x, self.as_kernel())


class PointwisePrimitive(LinearPrimitive):
    """A linear map of one token's channels: its kernel has k = 1, so it merges into a weight exactly."""


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve (B, C, H, W) with an odd kernel (C_out, C, k, k), zero-padded to keep H and W."""
    return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def dilate(kernel: Tensor, dilation: int) -> Tensor:
    """Return the kernel (..., k, k) with zeros between its taps, (..., dilation * (k - 1) + 1, same)."""
    if dilation == 1:
        return kernel
    side = dilation * (kernel.shape[-1] - 1) + 1
    spread = kernel.new_zeros(*kernel.shape[:-2], side, side)
    spread[..., ::dilation, ::dilation] = kernel
    return spread


def taps_of(kernel: Tensor, size: int, dilation: int = 1) -> Tensor:
    """Return the middle `size` x `size` taps of a kernel (..., k, k), `dilation` apart; zeros beyond it."""
    reach = dilation * (size - 1) + 1
    padded = pad_kernel(kernel, max(reach, kernel.shape[-1]))
    first = (padded.shape[-1] - reach) // 2
    inside = slice(first, first + reach, dilation)
    return padded[..., inside, inside]


def identity_kernel(channels: int) -> Tensor:
    """Return the pointwise kernel (C, C, 1, 1) that changes nothing."""
    return torch.eye(channels)[:, :, None, None]


def pad_kernel(kernel: Tensor, size: int) -> Tensor:
    """Return the kernel zero-padded to side `size`, which computes the same."""
    margin = (size - kernel.shape[-1]) // 2
    return F.pad(kernel, (margin, margin, margin, margin)) if margin else kernel


OPS: Registry[Callable[[int], Primitive]] = Registry("operation")
