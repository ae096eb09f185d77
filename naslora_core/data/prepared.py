"""Images ready for SAM, as training reads them: memory-mapped, no file decoded again."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.shards import ShardedRows
from naslora_core.errors import DataError

MANIFEST_FILE = "manifest.json"
# A number for how the files are laid out and how the rows are made; another one makes every row anew.
FORMAT = 2


@dataclass(frozen=True)
class PreparedData:
    """One split, ready to train on; writing to a row never changes the files.

    `images`: (N, S, S, 3) uint8 RGB, `PADDING_RGB` outside the image; `masks`: (N, S, S) uint8, class ids,
    0 is the background; of both one row is read at a time. `input_sizes`: (H, W) of the image within the
    square, from its upper left corner; `original_sizes`: (H, W) of the file; `groups`: which images belong
    together, by default each to itself; `classes`: names of the ids from 1 on.
    """

    images: np.ndarray | ShardedRows
    masks: np.ndarray | ShardedRows
    input_sizes: list[tuple[int, int]]
    original_sizes: list[tuple[int, int]]
    names: list[str]
    groups: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ("foreground",)

    def __post_init__(self) -> None:
        if not self.groups:
            object.__setattr__(self, "groups", self.names)

    def __len__(self) -> int:
        return len(self.names)


def load_prepared(folder: Path, split: str) -> PreparedData:
    """Open one split of what `preprocess` wrote, sorted by name, without reading the pixels.

    Raises:
        DataError: if `folder` holds no preprocessed data, or nothing of this split.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        if manifest["recipe"]["format"] != FORMAT:
            raise ValueError(f"format {manifest['recipe']['format']}, expected {FORMAT}")
        items = [item for item in manifest["items"] if item["split"] == split]
        shards = sorted({item["shard"] for item in items})
        places = [(shards.index(item["shard"]), item["row"]) for item in items]
        images = [open_shard(folder, shard, "images", "c") for shard in shards]
        masks = [open_shard(folder, shard, "masks", "c") for shard in shards]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is not preprocessed data ({_reason(error)}); run stage preprocess") from error
    if not items:
        present = sorted({item["split"] for item in manifest["items"]})
        raise DataError(f"{folder} has no image of split '{split}', only of {', '.join(present)}")
    return PreparedData(
        images=ShardedRows(images, places),
        masks=ShardedRows(masks, places),
        input_sizes=_sizes(items, "input_size"),
        original_sizes=_sizes(items, "original_size"),
        names=[item["name"] for item in items],
        groups=[item["group"] for item in items],
        classes=tuple(manifest["recipe"]["classes"]),
    )


def shard_file(shard: str, kind: str) -> str:
    """Return the file of a shard; `kind` is "images" or "masks"."""
    return f"{shard}.{kind}.npy"


def open_shard(folder: Path, shard: str, kind: str, mode: Any = "r") -> np.ndarray:
    """Map the rows of a shard into memory; raises OSError or ValueError if the file is missing or cut short."""
    array: np.ndarray = np.load(folder / shard_file(shard, kind), mmap_mode=mode, allow_pickle=False)
    return array


def _sizes(items: list[dict[str, Any]], key: str) -> list[tuple[int, int]]:
    return [(item[key][0], item[key][1]) for item in items]


def _reason(error: Exception) -> str:
    return f"{MANIFEST_FILE} lacks {error}" if isinstance(error, KeyError) else str(error)
