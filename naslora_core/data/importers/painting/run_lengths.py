"""Run lengths of COCO, as numbers or as a compressed string: checked, and painted into the columns they reach."""

from collections.abc import Sequence

import numpy as np

# Characters of one number; more would not fit into 64 bits.
_LONGEST = 12


def checked_counts(counts: Sequence[int] | str, height: int, width: int) -> np.ndarray:
    """Return run lengths, (N,) int64, given as numbers or as a compressed string.

    Raises:
        ValueError: if they do not cover the image exactly, column after column.
    """
    if isinstance(counts, str):
        numbers = unpack(counts.encode("ascii"))
    else:
        numbers = np.array([int(number) for number in counts], dtype=np.int64)
    # Not the sum alone: it may overflow.
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) > height * width or numbers.sum() != height * width:
        raise ValueError(f"its run lengths cover {numbers.sum()} pixels of {height * width}")
    return numbers


def bounded(counts: np.ndarray, height: int) -> tuple[int, int, np.ndarray]:
    """Return the first row and column that run lengths reach, and (h, w) bool of the pixels from there to the last."""
    ends = np.cumsum(counts)
    starts, ends = (ends - counts)[1::2], ends[1::2]
    full = ends > starts
    starts, ends = starts[full], ends[full]
    if not len(ends):
        return 0, 0, np.zeros((0, 0), dtype=bool)
    left, right = int(starts[0]) // height, (int(ends[-1]) - 1) // height + 1
    edges = np.concatenate([[left * height], np.column_stack([starts, ends]).ravel(), [right * height]])
    inside = np.repeat(np.arange(len(edges) - 1) % 2 == 1, np.diff(edges))
    rows, last = starts % height, (ends - 1) % height
    # A run that goes on in the next column reaches both borders.
    top, bottom = (0, height) if (ends - starts > last - rows + 1).any() else (int(rows.min()), int(last.max()) + 1)
    return top, left, inside.reshape(right - left, height)[:, top:bottom].T


def unpack(packed: bytes) -> np.ndarray:
    """Return the numbers, (N,) int64, of COCO's compressed string.

    Raises:
        ValueError: if one of them does not fit into 64 bits.
    """
    # Five bits a character, least first, the sixth says that more follow; from the fourth number on, the difference to
    # the one before the last is stored: https://github.com/cocodataset/cocoapi, rleToString in common/maskApi.c.
    digits = np.frombuffer(packed, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(~digits & 0x20)
    if not len(last):
        return np.zeros(0, np.int64)
    digits = digits[: last[-1] + 1]
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > _LONGEST:
        raise ValueError("its run lengths hold a number that is too long")
    places = 5 * (np.arange(len(digits)) - np.repeat(first, lengths))
    numbers = np.add.reduceat((digits & 0x1F) << places, first)
    numbers -= np.where(digits[last] & 0x10, 1 << (5 * lengths), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
