"""Write the rows of a shard: squares of one size, or whole images one after the other."""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.lib.format import open_memmap

from naslora_core.data.prepared.prepared import ANCHORS, evenly_spaced, shard_file
from naslora_core.data.preprocess.decode import Sizes, Square
from naslora_core.files import reserve


def write_squares(folder: Path, shard: str, count: int, side: int, squares: Iterable[Square]) -> Iterator[Sizes]:
    """Write `count` squares as they come, and yield the sizes of each."""
    images = _create(folder / shard_file(shard, "images"), (count, side, side, 3))
    masks = _create(folder / shard_file(shard, "masks"), (count, side, side))
    for place, square in enumerate(squares):
        images[place], masks[place] = square.image, square.mask
        yield square.sizes
    images.flush()
    masks.flush()


def write_whole(folder: Path, shard: str, classes: int, images: Iterable[Square]) -> Iterator[Sizes]:
    """Write whole images of any sizes as they come, with their anchors, and yield the sizes of each.

    One image is in memory at a time, if `images` makes them one at a time.
    """
    anchors = []
    with (
        _PixelFile(folder / shard_file(shard, "images"), (3,)) as pixels,
        _PixelFile(folder / shard_file(shard, "masks"), ()) as ids,
    ):
        for image in images:
            pixels.append(image.image)
            ids.append(image.mask)
            anchors.append(find_anchors(image.mask, classes))
            sizes = image.sizes
            # Else it would be held while the next one is decoded.
            del image
            yield sizes
    np.save(folder / shard_file(shard, "anchors"), np.stack(anchors))


def find_anchors(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return pixels on objects, from all over a mask and as many of every class that it has.

    Those of a class with fewer pixels are repeated. Of more than ANCHORS classes, as many are left out.

    Args:
        mask: (H, W) uint8 class ids.
        classes: how many there are beside the background.

    Returns:
        (ANCHORS, 2) int32, rows and columns; -1 from the first one that no class has a share in.
    """
    anchors = np.full((ANCHORS, 2), -1, dtype=np.int32)
    counts = {number: np.count_nonzero(mask == number, axis=1) for number in range(1, classes + 1)}
    present = evenly_spaced([number for number, of_rows in counts.items() if of_rows.any()], ANCHORS)
    for turn, number in enumerate(present):
        first, last = (ANCHORS * (turn + step) // len(present) for step in (0, 1))
        anchors[first:last] = _spread(mask, number, counts[number], last - first)
    return anchors


def _spread(mask: np.ndarray, number: int, of_rows: np.ndarray, count: int) -> np.ndarray:
    """Return `count` pixels of a class, evenly spaced in reading order, (count, 2).

    Row by row: the places of all its pixels would take eight times the memory of the mask.
    """
    before = np.concatenate([[0], np.cumsum(of_rows)])
    wanted = np.arange(count) * int(before[-1]) // count
    rows = np.searchsorted(before, wanted, side="right") - 1
    columns = [
        np.flatnonzero(mask[row] == number)[place] for row, place in zip(rows, wanted - before[rows], strict=True)
    ]
    return np.stack([rows, columns], axis=1)


class _PixelFile:
    """A .npy file of pixels whose number is known at the end only.

    Args:
        path: the file.
        shape: of one pixel.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._file, self._shape, self._count = path.open("wb"), shape, 0
        self._file.write(self._header())

    def __enter__(self) -> "_PixelFile":
        return self

    def __exit__(self, *_: object) -> None:
        # NumPy leaves room in a header for the first axis to grow.
        self._file.seek(0)
        self._file.write(self._header())
        self._file.close()

    def append(self, pixels: np.ndarray) -> None:
        """Add the pixels of an image, (H, W) or (H, W, 3) uint8."""
        self._file.write(np.ascontiguousarray(pixels).data)
        self._count += pixels.shape[0] * pixels.shape[1]

    def _header(self) -> bytes:
        header = io.BytesIO()
        about = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape)}
        npy.write_array_header_1_0(header, about)
        return header.getvalue()


def _create(path: Path, shape: Sequence[int]) -> np.memmap:
    array = open_memmap(path, mode="w+", dtype=np.uint8, shape=tuple(shape))
    reserve(path)
    return array
