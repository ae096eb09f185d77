"""Pairs of files decoded into squares, by as many processes as pay off."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from naslora_core.data.card import DatasetCard
from naslora_core.data.dataset import Pair
from naslora_core.data.encoding import read_class_ids
from naslora_core.data.pixels import read_image
from naslora_core.data.square import PADDING_RGB, resize, resized_shape
from naslora_core.errors import DataError

_MOST_WORKERS = 8
# Starting a process and importing this file there takes as long as decoding some thirty images.
_WORTH_A_PROCESS = 32
_CHUNK = 8


# (H, W) of the file, and of the image within its square.
Sizes = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Square:
    """A decoded pair: image (S, S, 3) uint8 and class ids (S, S) uint8."""

    image: np.ndarray
    mask: np.ndarray
    sizes: Sizes


Decode = Callable[[Iterable[Pair]], Iterator[Square]]


def worker_count(images: int) -> int:
    """Return how many processes decode `images` pairs fastest; 1 is this process alone."""
    if images < 2 * _WORTH_A_PROCESS:
        return 1
    return min(os.cpu_count() or 1, _MOST_WORKERS)


@contextmanager
def decoder(card: DatasetCard, image_size: int, workers: int) -> Iterator[Decode]:
    """Yield a function that decodes pairs, in their order, in `workers` processes.

    All it is given in one call may be held in memory at once.

    Raises:
        DataError: as `decode_pair`, or if the system ends a process.
    """
    decode = partial(decode_pair, card=card, image_size=image_size)
    if workers == 1:
        yield partial(map, decode)
        return
    # Spawned, as forking copies the locks of threads that other libraries started.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=_start_worker) as pool:
            try:
                yield partial(pool.map, decode, chunksize=_CHUNK)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise DataError(
            f"a process that decodes images of '{card.name}' was ended by the system, most likely for lack of "
            "memory; close other programs and run again"
        ) from error


def decode_pair(pair: Pair, card: DatasetCard, image_size: int) -> Square:
    """Read an image and its mask, and fit both into a square of side `image_size`.

    Raises:
        DataError: if a file is unreadable, a mask has an unknown value, or the sizes differ.
    """
    assert pair.image is not None
    assert pair.mask is not None
    image, ids = read_image(pair.image), read_class_ids(pair.mask, card)
    if image.shape[:2] != ids.shape:
        raise DataError(f"{pair.mask} is {ids.shape}, its image {image.shape[:2]}; run naslora data check")
    original = (image.shape[0], image.shape[1])
    height, width = resized_shape(*original, image_size)
    square = np.empty((image_size, image_size, 3), dtype=np.uint8)
    square[:] = PADDING_RGB
    square[:height, :width] = resize(image, (height, width), Image.Resampling.BILINEAR)
    mask = np.zeros((image_size, image_size), dtype=np.uint8)
    mask[:height, :width] = resize(ids, (height, width), Image.Resampling.NEAREST)
    return Square(square, mask, (original, (height, width)))


def _start_worker() -> None:
    """Leave interrupts to the parent process, and end with it: a pool's workers would wait for ever for one killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
