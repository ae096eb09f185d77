"""Which tokens a layer of an image encoder sees at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenGrid:
    """The grid of an image's tokens at a layer, and the windows in which the layer sees it.

    Attributes:
        side: of the image's grid, in tokens.
        window: side of the windows, in tokens; 0 where the layer sees the image.
    """

    side: int
    window: int = 0

    @property
    def across(self) -> int:
        """How many windows lie in a row, the last one padded if need be; 1 without windows."""
        return -(-self.side // self.window) if self.window else 1

    def __str__(self) -> str:
        """What the layer sees, "8x8" or "image"."""
        return f"{self.window}x{self.window}" if self.window else "image"
