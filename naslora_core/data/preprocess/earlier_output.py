"""The output of an earlier preprocessing, which of its rows can be used again, and how it is kept for that."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.data.prepared.prepared import FORMAT, MANIFEST_FILE, kinds_of, open_shard, shard_file
from naslora_core.data.preprocess.decode import Sizes, Square
from naslora_core.files import atomic_directory
from naslora_core.reading import read_object

# Bytes of a file that are read at once.
_PART = 1 << 20

# The sha256 of an image file and of its mask file: with the recipe, all that a row depends on.
Key = tuple[str, str]


@dataclass(frozen=True)
class EarlierOutput:
    """Rows of an earlier output, by the hashes of the files they were made from.

    Args:
        folder: the earlier output.
        items: of every row that can be used again, what the manifest says.
        keys: of every shard's rows, in their order.
        checksums: what `checksums` says of every shard.
        problem: why an output that is there cannot be used, in a few words; "" if there is nothing to tell.
    """

    folder: Path
    items: dict[Key, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, list[Key]] = field(default_factory=dict)
    checksums: dict[str, dict[str, str]] = field(default_factory=dict)
    problem: str = ""

    def square(self, key: Key) -> Square:
        """Return a row of the earlier output."""
        item, sizes = self.items[key], self.sizes(key)
        images, masks = (open_shard(self.folder, item["shard"], kind) for kind in ("images", "masks"))
        if "start" not in item:
            return Square(images[item["row"]], masks[item["row"]], sizes)
        (height, width), start = sizes[1], item["start"]
        pixels = slice(start, start + height * width)
        return Square(images[pixels].reshape(height, width, 3), masks[pixels].reshape(height, width), sizes)

    def sizes(self, key: Key) -> Sizes:
        """Return (H, W) of the file a row was made from, and of the image within its square."""
        item = self.items[key]
        (height, width), (inner_height, inner_width) = item["original_size"], item["input_size"]
        return (height, width), (inner_height, inner_width)

    def link_or_copy(self, shard: str, keys: Sequence[Key], folder: Path) -> bool:
        """Link or copy a shard into `folder` if it holds exactly these rows, and return whether it does."""
        if self.keys.get(shard) != keys:
            return False
        for name in (shard_file(shard, kind) for kind in self.checksums[shard]):
            _link_or_copy(self.folder / name, folder / name)
        return True


def open_earlier_output(folder: Path, recipe: dict[str, Any]) -> EarlierOutput:
    """Open an earlier output; its rows count only if they were made by `recipe` and every byte is intact."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return EarlierOutput(folder)
    try:
        manifest = read_object(folder / MANIFEST_FILE)
        if manifest.get("recipe", {}).get("format") != FORMAT:
            return EarlierOutput(folder, problem="the earlier output is of another version")
        if manifest["recipe"] != recipe:
            return EarlierOutput(folder)
        earlier = EarlierOutput(folder, checksums=manifest["shards"])
        ends: dict[str, int] = {}
        for item in manifest["items"]:
            key = (item["image_sha256"], item["mask_sha256"])
            earlier.items[key] = item
            _, (height, width) = earlier.sizes(key)
            if item.get("start", end := ends.get(item["shard"], 0)) != end:
                return EarlierOutput(folder, problem="the manifest of the earlier output is damaged")
            ends[item["shard"]] = end + height * width
            earlier.keys.setdefault(item["shard"], []).append(key)
        for shard, expected in earlier.checksums.items():
            if checksums(folder, shard, kinds_of(recipe.get("view", "whole"))) != expected:
                return EarlierOutput(folder, problem=f"{shard} of the earlier output is damaged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return EarlierOutput(folder, problem="the earlier output is damaged")
    return earlier


def keep_output(output: Path, kept: Path) -> None:
    """Keep an output in another folder, as links to the same files, for whoever opens it there the next time.

    A folder that cannot be written, for want of space perhaps, costs the next run its time and this one nothing.
    """
    try:
        with atomic_directory(kept, durable=False) as folder:
            for path in output.iterdir():
                _link_or_copy(path, folder / path.name)
    except OSError:
        shutil.rmtree(kept, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    # A file with two names is one file: nobody may write into it, and all here replace files by new ones.
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has hard links.
        shutil.copy2(source, target)


def checksums(folder: Path, shard: str, kinds: Sequence[str]) -> dict[str, str]:
    """Return the sha256 of what a shard holds, by kind."""
    return {kind: _sha256(folder / shard_file(shard, kind), open_shard(folder, shard, kind)) for kind in kinds}


def _sha256(path: Path, array: np.ndarray) -> str:
    """Return the hash of an array's file without its header, of which no more than a part is in memory at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(array.offset)  # type: ignore[attr-defined]
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest()
