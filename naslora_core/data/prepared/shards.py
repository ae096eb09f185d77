"""Shards: rows spread over files of moderate size, so that one changed image changes one file."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from naslora_core.errors import DataError
from naslora_core.reading import read_model

_IMAGES_PER_SHARD = 256
# Every mapped file holds a descriptor, and 1024 is a common limit; beyond that the shards grow instead.
_MOST_SHARDS = 128


class ShardsIndex(BaseModel):
    """What the index of a packed dataset holds: the SHA-256 of its shards, and the MD5 of the files in them."""

    format: Literal[1] = 1
    # A plain file name: beside the index, and nowhere else.
    shards_sha256: dict[Annotated[str, Field(pattern=r"^[a-z]+-[0-9]+\.tar$")], str]
    files_md5: dict[str, str]


def read_index(path: Path) -> ShardsIndex:
    """Return the index of a packed dataset.

    Raises:
        DataError: if the file cannot be read or is of another version.
    """
    remedy = "restore it with dvc checkout, or pack the dataset again"
    return read_model(path, ShardsIndex, 1, remedy, DataError, fault="is damaged")


def shard_count(images: int) -> int:
    """Return how many shards a split of `images` has: the power of two that keeps them at about 256 images.

    A power of two, so that where the number doubles every shard is cut in two and no row goes anywhere else.
    """
    return min(2 ** max(0, round(math.log2(max(images, 1) / _IMAGES_PER_SHARD))), _MOST_SHARDS)


def shard_name(split: str, name: str, count: int) -> str:
    """Return the shard of an image, "train-03"; it depends only on the split, the name and `count`."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % count
    return f"{split}-{number:02d}"


class ShardedRows:
    """Rows from several memory-mapped arrays in a given order; each row is read on access.

    Args:
        shards: arrays (n, ...) that differ in n only.
        places: (N, 2); of every row, which shard it lies in and where.
    """

    def __init__(self, shards: Sequence[np.ndarray], places: Sequence[tuple[int, int]]) -> None:
        self._shards, self._places = list(shards), list(places)

    def __len__(self) -> int:
        """Return N."""
        return len(self._places)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that all rows would have as one array, (N, ...)."""
        return len(self), *self._shards[0].shape[1:]

    def __getitem__(self, index: int) -> np.ndarray:
        """Return row `index`, a view of the file."""
        shard, row = self._places[index]
        view: np.ndarray = self._shards[shard][row]
        return view


class RaggedRows:
    """Images of different sizes, kept one after the other in memory-mapped arrays of pixels; read on access.

    Of a part of an image only the rows it spans are read from the disk.

    Args:
        shards: arrays of pixels, (P,) or (P, 3).
        places: (N, 2); of every image, which shard it lies in and its first pixel there.
        sizes: (H, W) of every image.
    """

    def __init__(
        self, shards: Sequence[np.ndarray], places: Sequence[tuple[int, int]], sizes: Sequence[tuple[int, int]]
    ) -> None:
        self._shards, self._places, self._sizes = list(shards), list(places), list(sizes)

    def __len__(self) -> int:
        """Return N."""
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return image `index`, (H, W) or (H, W, 3), a view of the file."""
        shard, start = self._places[index]
        height, width = self._sizes[index]
        pixels = self._shards[shard][start : start + height * width]
        view: np.ndarray = pixels.reshape(height, width, *pixels.shape[1:])
        return view
