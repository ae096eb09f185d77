"""How a windowed block cuts the grid of tokens, and how it is put together again."""

from dataclasses import dataclass

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
