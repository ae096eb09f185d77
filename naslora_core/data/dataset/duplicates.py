"""Find duplicates of images, also after they were resized or compressed again.

A perceptual hash proposes, small grey pictures of both decide: hashes alone take different photographs of like
composition for copies.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from naslora_core.data.dataset.image_files.images import read_image
from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.errors import DataError

THUMBNAIL_SIDE = 16
# The most that quality.near_duplicate_bits may be: whoever asks for this finds every copy that the gate can find.
MOST_BITS = 6
# In grey levels of 0..255, and as correlation. Seen on 1,000 images of Kvasir-SEG: copies differ by 0.3 on average,
# the most alike pair of different pictures by 3.4; JPEG of quality 30 and halving the size cost less than 0.5.
_LARGEST_DIFFERENCE = 2.0
_LEAST_CORRELATION = 0.98
# Pairs compared at a time, by their hashes and by their pictures: what bounds the memory.
_HASHES, _PICTURES = 1 << 20, 1 << 14
_BITS = 64


def image_signature(gray: np.ndarray) -> tuple[int, bytes]:
    """Return a perceptual hash and a small grey picture, by which duplicates of an image are found.

    Args:
        gray: (H, W) uint8.

    Returns:
        The perceptual hash of 64 bits (imagehash.phash), and the grey picture of 16 x 16 pixels, row by row.
    """
    # The hash sees 32 x 32 pixels; resampling a photograph to that with Pillow takes longer than decoding it.
    small = cv2.resize(gray, (64, 64), interpolation=cv2.INTER_AREA)
    bits = imagehash.phash(Image.fromarray(small)).hash
    thumbnail = cv2.resize(small, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(bits).tobytes(), "big"), thumbnail.tobytes()


def file_signature(path: Path, reading: ImageReading | None = None) -> tuple[int, bytes] | None:
    """Return `image_signature` of an image file, see `read_image`; None if it cannot be read."""
    try:
        return image_signature(cv2.cvtColor(read_image(path, reading), cv2.COLOR_RGB2GRAY))
    except DataError:
        return None


def use_one_thread() -> None:
    """Keep OpenCV to one thread, for worker processes that run beside others."""
    cv2.setNumThreads(1)


def label_duplicates(hashes: np.ndarray, thumbnails: np.ndarray, max_bits: int) -> np.ndarray:
    """Return a label for each image, the same for duplicates of each other.

    Hashes that differ in at most `max_bits` bits agree in one of `max_bits` + 1 bands, so that only images that
    share a band are compared: far fewer than all pairs.

    Args:
        hashes: (N,) uint64 of `image_signature`.
        thumbnails: (N, 256) uint8 of `image_signature`.
        max_bits: by how many bits the hashes of copies may differ.

    Returns:
        (N,) int, the same number for copies of each other and another for all else.
    """
    looks = np.concatenate([hashes.view(np.uint8).reshape(-1, _BITS // 8), thumbnails], axis=1)
    _, first, same = np.unique(np.ascontiguousarray(looks).view(f"V{looks.shape[1]}").ravel(), True, True)
    hashes, thumbnails = hashes[first], thumbnails[first]
    links = [np.empty((2, 0), dtype=np.int64)]
    edges = np.linspace(0, _BITS, max_bits + 2).astype(int)
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        band = (hashes >> np.uint64(start)) & np.uint64((1 << int(stop - start)) - 1)
        for pairs in _pairs_of_equals(band):
            near = pairs[:, _distance(hashes[pairs[0]], hashes[pairs[1]]) <= max_bits]
            for part in np.array_split(near, range(_PICTURES, near.shape[1], _PICTURES), axis=1):
                links.append(part[:, _look_alike(thumbnails[part[0]], thumbnails[part[1]])])
    a, b = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(len(hashes), len(hashes)))
    groups: np.ndarray = connected_components(graph, directed=False)[1][same.ravel()]
    return groups


def groups_of(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of each label that is there more than once, ascending, as (M,) int arrays.

    Args:
        labels: (N,) int.
    """
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1)) if len(labels) else np.empty(0, np.int64)
    sizes = np.diff(starts, append=len(labels))
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        yield order[start : start + size]


def _pairs_of_equals(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield all pairs of places with equal values, as (2, M) arrays, M about a million or the size of one group."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    # How many equal values follow each place; its pairs are with the next one, the next but one, and so on.
    followers = np.searchsorted(ordered, ordered, side="right") - np.arange(len(ordered)) - 1
    ends = np.cumsum(followers)
    start = 0
    while start < len(ordered):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _HASHES, side="right")))
        counts = followers[start:stop]
        first = np.repeat(np.arange(start, stop), counts)
        step = np.arange(len(first)) - np.repeat(ends[start:stop] - counts - before, counts) + 1
        yield np.stack([order[first], order[first + step]])
        start = stop


_ONES = np.array([value.bit_count() for value in range(1 << 16)], dtype=np.uint8)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the number of different bits, (N,)."""
    words = (first ^ second).view(np.uint16).reshape(-1, _BITS // 16)
    return _ONES[words].sum(axis=1, dtype=np.uint8)


def _look_alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return whether the small pictures are the same, (N,) bool."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    difference = np.abs(a - b).mean(axis=1)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    alike: np.ndarray = (difference <= _LARGEST_DIFFERENCE) & ((a * b).sum(axis=1) > _LEAST_CORRELATION * norm)
    return alike
