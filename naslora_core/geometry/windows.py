"""How a windowed block cuts the grid of tokens, and how it is put together again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """The windows of a block, as every family cuts them: row by row, padded at the last ones.

    SAM, SAM 2 and SAM 3 pad with zeros what goes into `qkv` and its like. Behind a layer without bias, as `lora_A` is,
    these stay zero, so that an operation on the grid that is put together sees zeros beyond the image, as it does
    without windows. MobileSAM pads before the norm: its padding holds the norm's bias, which the operation sees beyond
    the right and the lower border as the base's own attention does. A merge sees the same, so that it stays exact.

    Args:
        side: of a window, in tokens.
        across: windows in a row, and in a column.
    """

    side: int
    across: int

    def join(self, z: Tensor) -> Tensor:
        """Put windows (B * across^2, side, side, C) together to grids (B, across * side, across * side, C)."""
        channels, whole = z.shape[-1], self.across * self.side
        cut = z.reshape(-1, self.across, self.across, self.side, self.side, channels)
        return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, whole, whole, channels)

    def split(self, z: Tensor) -> Tensor:
        """Cut grids (B, across * side, across * side, C) into windows (B * across^2, side, side, C)."""
        channels = z.shape[-1]
        cut = z.reshape(-1, self.across, self.side, self.across, self.side, channels)
        return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, self.side, self.side, channels)

    def pad(self, z: Tensor) -> Tensor:
        """Continue grids (B, H, W, C) by zeros to the right and below, to (B, across * side, across * side, C)."""
        whole = self.across * self.side
        return F.pad(z, (0, 0, 0, whole - z.shape[2], 0, whole - z.shape[1]))


class Region(NamedTuple):
    """Neighbouring windows that reach equally far beyond the image.

    Attributes:
        tokens: with what lies beyond the image, (B, rows * side, columns * side, C).
        height: of the part of each window that lies in the image, in tokens.
        width: of that part.
    """

    tokens: Tensor
    height: int
    width: int


class PaddedGrid(NamedTuple):
    """A grid of tokens and what continues it to whole windows, in three parts that are not put together.

    Attributes:
        inside: the image's tokens, (B, H, W, C).
        right: of them, (B, H, P, C).
        below: both, (B, Q, W + P, C).
    """

    inside: Tensor
    right: Tensor
    below: Tensor

    @classmethod
    def of(cls, whole: Tensor, height: int, width: int) -> "PaddedGrid":
        """Take apart what is put together, (B, height + Q, width + P, C)."""
        return cls(whole[:, :height, :width], whole[:, :height, width:], whole[:, height:])

    def whole(self) -> Tensor:
        """Return all in one, (B, H + Q, W + P, C)."""
        return torch.cat([torch.cat([self.inside, self.right], dim=2), self.below], dim=1)

    def regions(self, side: int) -> Iterator[list[Region]]:
        """Cut into up to four regions of windows of a side: the inner ones, at the right, below, in the corner.

        Yields:
            The regions that lie side by side.
        """
        heights, widths = (_whole_and_rest(length, side) for length in self.inside.shape[1:3])
        beyond = (*widths[:-1], widths[-1] + self.right.shape[2])
        below = self.below.split(beyond, dim=2)
        rows = zip(self.inside.split(heights, dim=1), self.right.split(heights, dim=1), heights, strict=True)
        for place, (inside, right, height) in enumerate(rows, start=1):
            line = []
            for column, (tokens, width) in enumerate(zip(inside.split(widths, dim=2), widths, strict=True)):
                if column == len(widths) - 1 and right.shape[2]:
                    tokens = torch.cat([tokens, right], dim=2)
                if place == len(heights) and self.below.shape[1]:
                    tokens = torch.cat([tokens, below[column]], dim=1)
                line.append(Region(tokens, min(height, side), min(width, side)))
            yield line


def _whole_and_rest(length: int, side: int) -> list[int]:
    """Cut a length into what whole windows cover, and the rest; either is left out where it is nothing."""
    return [part for part in (length // side * side, length % side) if part]
