"""Decode pairs of files into padded squares, in several processes where that is faster."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.parallel import CHUNK, parallel_map
from naslora_core.sam.square import fit_into_square, resize_mask

# Starting a process and importing this file in it, and the caller, takes as long as decoding so many small images.
WORTH_A_PROCESS = 1000

# (H, W) of the file, and of the image within its square.
Sizes = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Square:
    """A decoded pair: image (S, S, 3) uint8 and class ids (S, S) uint8, IGNORED_ID where nobody labelled.

    Or the whole image, (H, W, 3) and (H, W).
    """

    image: np.ndarray
    mask: np.ndarray
    sizes: Sizes


Decode = Callable[[Iterable[Pair]], Iterator[Square]]


def decoder(card: DatasetCard, image_size: int | None, workers: int) -> AbstractContextManager[Decode]:
    """Yield a function that decodes pairs, in their order, in `workers` processes.

    All it is given in one call may be held in memory at once.

    Raises:
        DataError: as `decode_pair`, or if the system ends a process.
    """
    work = partial(decode_pair, card=card, image_size=image_size)
    # Of whole images few are in memory at a time, so that each process gets one.
    chunk = 1 if image_size is None else CHUNK
    return parallel_map(work, workers, f"decodes images of '{card.name}'", chunk=chunk)


def decode_pair(pair: Pair, card: DatasetCard, image_size: int | None) -> Square:
    """Read an image and its mask, and fit both into a square of side `image_size`, or leave them as they are.

    Raises:
        DataError: if a file is missing or unreadable, a mask has an unknown value, or the sizes differ.
    """
    image, ids = read_pair(pair, card)
    if image_size is None:
        shape = (image.shape[0], image.shape[1])
        return Square(image, ids, (shape, shape))
    square, (height, width) = fit_into_square(image, image_size)
    mask = np.zeros((image_size, image_size), dtype=np.uint8)
    # Nearest neighbour: ids are names, and a mean of two of them would be a third.
    mask[:height, :width] = resize_mask(ids, image_size)
    return Square(square, mask, ((image.shape[0], image.shape[1]), (height, width)))
