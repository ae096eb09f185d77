"""How a windowed block cuts the grid of tokens, and how it is put together again."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """The windows of a block, as `segment_anything` cuts them: row by row, padded with zeros at the last ones.

    What lies in the padding is zero before a layer without bias, as `lora_A` is, so that an operation on the grid
    that is put together sees zeros beyond the image, as it does without windows.

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
