"""Open preprocessed images and masks as memory-mapped arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt

from naslora_core.config import LARGEST_IMAGE_PX
from naslora_core.data.dataset.view import View
from naslora_core.data.prepared.shards import RaggedRows, ShardedRows
from naslora_core.errors import DataError
from naslora_core.reading import read_object, require_format

Item = TypeVar("Item")

MANIFEST_FILE = "manifest.json"
# The version of the file layout and of how rows are made; a new one makes every row again.
FORMAT = 2
# Of how many places on objects an image's anchors tell, at most.
ANCHORS = 64


class _Item(BaseModel):
    name: str
    split: str
    group: str
    # Part of a file's name, which must not lead out of the folder.
    shard: Annotated[str, Field(pattern=r"^[a-z]+-[0-9]+$")]
    row: NonNegativeInt
    # Of whole images their first pixel in the shard; squares are found by their row.
    start: NonNegativeInt | None = None
    input_size: tuple[PositiveInt, PositiveInt]
    original_size: tuple[PositiveInt, PositiveInt]


class _Recipe(BaseModel):
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    image: dict[str, Any] | None = None
    image_size: PositiveInt | None = None
    view: View = "whole"

    @property
    def side(self) -> int:
        """The side of the squares that a model sees; raises ValueError if it is not given."""
        if self.image_size is None or self.image_size > LARGEST_IMAGE_PX:
            raise ValueError(f"recipe.image_size is {self.image_size}, expected 1..{LARGEST_IMAGE_PX}")
        return self.image_size


class _Manifest(BaseModel):
    recipe: _Recipe
    items: tuple[_Item, ...]


class Rows(Protocol):
    """Arrays by number, which may lie in memory, in files, or be made when they are asked for."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> np.ndarray:
        """Return one."""


@dataclass(frozen=True)
class PreparedData:
    """One split, ready to train on; writing to a row never changes the files.

    `images`: (N, S, S, 3) uint8 RGB, `PADDING_RGB` outside the image; `masks`: (N, S, S) uint8, class ids,
    0 is the background, and one above the last class marks pixels that nobody labelled; of both one row is read
    at a time. `input_sizes`: (H, W) of the image within the square, from its upper left corner; `original_sizes`:
    (H, W) of the file; `groups`: which images belong together, by default each to itself; `classes`: names of the
    ids from 1 on; `reading`: how stored values became the grey levels of `images`, as the card says it; None for
    plain images of 8 bits.

    With a `scale`, rows are whole images (H, W, 3) of different sizes instead, of which the model sees parts at a
    time, with `scale` pixels of its input for one of the image; `side` is S then, and `anchors` (N, ANCHORS, 2) int32
    are rows and columns of pixels on objects, -1 where there are no more.
    """

    images: Rows
    masks: Rows
    input_sizes: list[tuple[int, int]]
    original_sizes: list[tuple[int, int]]
    names: list[str]
    groups: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ("foreground",)
    reading: dict[str, Any] | None = None
    scale: float | None = None
    side: int = 0
    anchors: Rows | None = None

    def __post_init__(self) -> None:
        if not self.groups:
            object.__setattr__(self, "groups", self.names)
        if not self.side:
            object.__setattr__(self, "side", int(self.masks[0].shape[0]))

    def __len__(self) -> int:
        return len(self.names)


def load_prepared(folder: Path, split: str, scale: float = 1.0) -> PreparedData:
    """Open one split of what `preprocess` wrote, sorted by name, without reading the pixels.

    Args:
        folder: what it wrote.
        split: which one.
        scale: at which parts of images are seen, where whole images were kept for that; squares have theirs.

    Raises:
        DataError: if `folder` holds no preprocessed data, or nothing of this split.
    """
    try:
        manifest = _read_manifest(folder / MANIFEST_FILE)
        items = [item for item in manifest.items if item.split == split]
        if not items:
            present = sorted({item.split for item in manifest.items})
            raise DataError(f"{folder} has no image of split '{split}', only of {', '.join(present)}")
        shards = sorted({item.shard for item in items})
        is_ragged = manifest.recipe.view == "crops"
        arrays = {
            # Of shards of whole images a system may refuse copies on writing, as those might not fit into memory.
            kind: {shard: open_shard(folder, shard, kind, "r" if is_ragged else "c") for shard in shards}
            for kind in kinds_of(manifest.recipe.view)
        }
        (_check_pixels if is_ragged else _check_rows)(items, arrays["images"], arrays["masks"])
        if is_ragged:
            _check_anchors(items, arrays["anchors"])
        numbers = {shard: number for number, shard in enumerate(shards)}
        places = [(numbers[item.shard], item.row) for item in items]
        seen: dict[str, Any] = {}
        images: Rows
        masks: Rows
        if is_ragged:
            sizes, starts = [item.input_size for item in items], [(numbers[i.shard], i.start or 0) for i in items]
            images, masks = (RaggedRows(list(arrays[kind].values()), starts, sizes) for kind in ("images", "masks"))
            anchors = ShardedRows(list(arrays["anchors"].values()), places)
            seen = {"scale": scale, "side": manifest.recipe.side, "anchors": anchors}
        else:
            images, masks = (ShardedRows(list(arrays[kind].values()), places) for kind in ("images", "masks"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not preprocessed data ({_reason(error)}); run stage preprocess") from error
    return PreparedData(
        images=images,
        masks=masks,
        input_sizes=[item.input_size for item in items],
        original_sizes=[item.original_size for item in items],
        names=[item.name for item in items],
        groups=[item.group for item in items],
        classes=manifest.recipe.classes,
        reading=manifest.recipe.image,
        **seen,
    )


def kinds_of(view: View) -> tuple[str, ...]:
    """Return the kinds of files that a shard consists of."""
    return ("images", "masks", "anchors") if view == "crops" else ("images", "masks")


def describe_reading(images: PreparedData) -> dict[str, Any]:
    """Return how stored values became grey levels, as adapter.json holds it; nothing for plain images of 8 bits."""
    return {} if images.reading is None else {"image": images.reading}


def shard_file(shard: str, kind: str) -> str:
    """Return the file of a shard; `kind` is one of `kinds_of`."""
    return f"{shard}.{kind}.npy"


def open_shard(folder: Path, shard: str, kind: str, mode: Any = "r") -> np.ndarray:
    """Memory-map the rows of a shard; raises OSError or ValueError if the file is missing or truncated."""
    path = folder / shard_file(shard, kind)
    try:
        array: np.ndarray = np.load(path, mmap_mode=mode, allow_pickle=False)
    # The header is read as Python's own notation for a dictionary.
    except (SyntaxError, TokenError, TypeError, EOFError, OverflowError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    return array


def _read_manifest(path: Path) -> _Manifest:
    content = read_object(path)
    require_format(content["recipe"]["format"], FORMAT, path, "run stage preprocess", DataError)
    return _Manifest.model_validate(content)


def _check_rows(items: Sequence[_Item], images: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where a row is not in its shard, or the shards do not hold squares of bytes, all of one side."""
    shapes = {shard: (len(masks[shard]), *masks[shard].shape[1:]) for shard in images}
    sides = {side for shape in shapes.values() for side in shape[1:]}
    for shard, shape in shapes.items():
        if len(shape) != 3 or len(sides) != 1 or images[shard].shape != (*shape, 3):
            raise ValueError(f"{shard} has images {images[shard].shape} and masks {shape}")
        if images[shard].dtype != np.uint8 or masks[shard].dtype != np.uint8:
            raise ValueError(f"{shard} holds {images[shard].dtype} and {masks[shard].dtype}, expected uint8")
    for item in items:
        if item.row >= shapes[item.shard][0] or max(item.input_size) > max(sides):
            raise ValueError(f"{item.shard} has no row {item.row} of size {item.input_size}")


def _check_pixels(items: Sequence[_Item], images: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where an image is not in its shard, or the shards do not hold pixels of bytes."""
    for shard, pixels in images.items():
        if pixels.ndim != 2 or pixels.shape[1] != 3 or masks[shard].shape != pixels.shape[:1]:
            raise ValueError(f"{shard} has images {pixels.shape} and masks {masks[shard].shape}")
        if pixels.dtype != np.uint8 or masks[shard].dtype != np.uint8:
            raise ValueError(f"{shard} holds {pixels.dtype} and {masks[shard].dtype}, expected uint8")
    for item in items:
        height, width = item.input_size
        if item.start is None or item.start + height * width > len(images[item.shard]):
            raise ValueError(f"{item.shard} has no {height} x {width} pixels from {item.start} on")


def _check_anchors(items: Sequence[_Item], anchors: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where an image has no anchors; which pixels they are need not be trusted."""
    for shard, places in anchors.items():
        if places.shape[1:] != (ANCHORS, 2) or places.dtype != np.int32:
            raise ValueError(f"{shard} has anchors {places.shape} {places.dtype}, expected (N, {ANCHORS}, 2) int32")
    for item in items:
        if item.row >= len(anchors[item.shard]):
            raise ValueError(f"{item.shard} has no anchors {item.row}")


def _reason(error: Exception) -> str:
    return f"{MANIFEST_FILE} lacks {error}" if isinstance(error, KeyError) else str(error)


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` evenly spaced items, beginning with the first; all items if there are fewer.

    Used wherever a few images stand for all: the choice is not random, and covers the whole sequence evenly.
    """
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]
