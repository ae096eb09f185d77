"""Write the rows of a shard: squares of one size, or whole images one after the other."""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.lib.format import open_memmap

from naslora_core.data.dataset.ignored import is_foreground
from naslora_core.data.prepared.prepared import ANCHORS, evenly_spaced, shard_file
from naslora_core.data.preprocess.decode import Square
from naslora_core.files import reserve


def write_squares(folder: Path, shard: str, count: int, side: int, squares: Iterable[Square]) -> Iterator[Square]:
    """Write `count` squares as they come, and yield each."""
    images = _create(folder / shard_file(shard, "images"), (count, side, side, 3))
    masks = _create(folder / shard_file(shard, "masks"), (count, side, side))
    for place, square in enumerate(squares):
        images[place], masks[place] = square.image, square.mask
        yield square
    images.flush()
    masks.flush()


def write_whole(folder: Path, shard: str, classes: int, images: Iterable[Square]) -> Iterator[Square]:
    """Write whole images of any sizes as they come, with their anchors, and yield each; one is in memory at a time."""
    anchors = []
    with (
        _PixelFile(folder / shard_file(shard, "images"), (3,)) as pixels,
        _PixelFile(folder / shard_file(shard, "masks"), ()) as ids,
    ):
        for image in images:
            pixels.append(image.image)
            ids.append(image.mask)
            anchors.append(find_anchors(image.mask, classes))
            yield image
    np.save(folder / shard_file(shard, "anchors"), np.stack(anchors))


def find_anchors(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return pixels on objects, from all over a mask and in equal numbers of every class that it has.

    Args:
        mask: (H, W) uint8 class ids.
        classes: how many there are beside the background.

    Returns:
        (ANCHORS, 2) int32, rows and columns; -1 where there are no more.
    """
    anchors = np.full((ANCHORS, 2), -1, dtype=np.int32)
    places = np.flatnonzero(is_foreground(mask))
    ids = mask.ravel()[places]
    present = [number for number in range(1, classes + 1) if (ids == number).any()]
    chosen: list[int] = []
    for turn, number in enumerate(present):
        share = (ANCHORS - len(chosen)) // (len(present) - turn)
        chosen += evenly_spaced(places[ids == number], share)
    anchors[: len(chosen)] = np.stack(np.unravel_index(np.array(chosen, dtype=np.intp), mask.shape), axis=1)
    return anchors


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
