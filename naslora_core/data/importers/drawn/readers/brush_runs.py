"""Decode the run lengths in which Label Studio stores brush strokes.

Format: rle-pack of https://github.com/thi-ng/umbrella, as https://labelstud.io/guide/export points to: a stream of
bits, most significant first. 32 bits count the values, 5 bits are the bits of a value less one, four times 4 bits are
the bits of a run's length less one. Then, until all values are there: 1 bit that says whether a run follows or single
values, 2 bits that choose one of the four lengths, the length less one, and one value, or as many as the length says.
The values are RGBA of all pixels, row by row; what is drawn is not wholly transparent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from naslora_core.data.importers.painting.shapes import Patch

_BYTE = 8


@dataclass(frozen=True, eq=False)
class BrushStroke:
    """A stroke of a brush on an image of `size` (H, W); `runs` are bytes, 0 to 255."""

    runs: Sequence[int]
    size: tuple[int, int]

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels that are not wholly transparent, in the whole image.

        Raises:
            ValueError: if the stroke is of another size, or its run lengths are damaged.
        """
        if self.size != (height, width):
            raise ValueError(f"it was drawn on {self.size[1]} x {self.size[0]} px, not on {width} x {height}")
        values = unpack_runs(self.runs, height * width * 4)
        return Patch(0, 0, values.reshape(height, width, 4)[..., 3] > 0)


def unpack_runs(runs: Sequence[int], expected: int) -> np.ndarray:
    """Return the values, (N,) uint8.

    Raises:
        ValueError: if there are not as many values as `expected`, they have not 8 bits, or the runs end too early.
    """
    if not isinstance(runs, list | tuple) or not all(type(one) is int and 0 <= one <= 255 for one in runs):
        raise ValueError("its run lengths are no list of bytes")
    bits = _Bits(bytes(runs))
    count, value_bits = bits.take(32), bits.take(5) + 1
    length_bits = [bits.take(4) + 1 for _ in range(4)]
    if count != expected or value_bits != _BYTE:
        raise ValueError(f"its run lengths are of {count} values of {value_bits} bits, expected {expected} of 8")
    values = np.empty(count, np.uint8)
    done = 0
    while done < count:
        is_run = bits.take(1)
        end = done + 1 + bits.take(length_bits[bits.take(2)])
        if end > count:
            raise ValueError(f"its run lengths go on after {count} values")
        values[done:end] = bits.take(_BYTE) if is_run else bits.take_bytes(end - done)
        done = end
    return values


class _Bits:
    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def take(self, size: int) -> int:
        first, last = self._place // 8, (self._place + size + 7) // 8
        self._advance(size)
        return (int.from_bytes(self._content[first:last], "big") >> (last * 8 - self._place)) & ((1 << size) - 1)

    def take_bytes(self, count: int) -> np.ndarray:
        first, shift = divmod(self._place, 8)
        self._advance(8 * count)
        high = np.frombuffer(self._content, np.uint8, count, first)
        if not shift:
            return high
        low = np.frombuffer(self._content, np.uint8, count, first + 1)
        return (high << shift) | (low >> (8 - shift))

    def _advance(self, size: int) -> None:
        self._place += size
        if self._place > 8 * len(self._content):
            raise ValueError("its run lengths end too early")
