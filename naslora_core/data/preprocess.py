"""Images made ready for SAM once, so that training reads plain memory-mapped arrays."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image

from naslora_core.data.dataset import Dataset, Pair, fingerprint, read_image, read_mask
from naslora_core.data.splits import SPLITS
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory, write_json
from naslora_core.progress import Progress, silent

# SAM's mean colour, which its encoder sees as zero: upstream pads with zeros after normalising.
PADDING_RGB = (124, 116, 104)


@dataclass(frozen=True)
class PreparedData:
    """One split, ready to train on; writing to the arrays never changes the files.

    `images`: (N, S, S, 3) uint8 RGB, `PADDING_RGB` outside the image; `masks`: (N, S, S) uint8, class ids,
    0 is the background; `input_sizes`: (H, W) of the image within the square, from its upper left corner;
    `original_sizes`: (H, W) of the file; `groups`: which images belong together, by default each to itself;
    `classes`: names of the ids from 1 on.
    """

    images: np.ndarray
    masks: np.ndarray
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


def preprocess(dataset: Dataset, image_size: int, output: Path, progress: Progress = silent) -> None:
    """Resize every pair to `image_size` on its longer side, pad it to a square and write all as arrays.

    Writes images.npy, masks.npy and manifest.json into `output`, which is replaced as a whole. Rows are
    ordered by split, so that a split is one slice of the files.

    Raises:
        DataError: if a partner is missing, a file is unreadable, or a mask and its image differ in size.
    """
    pairs = [pair for split in SPLITS for pair in dataset.of_split(split)]
    items: list[dict[str, Any]] = []
    with atomic_directory(output) as folder:
        shape = (len(pairs), image_size, image_size)
        images = open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(*shape, 3))
        masks = open_memmap(folder / "masks.npy", mode="w+", dtype=np.uint8, shape=shape)
        for row, pair in enumerate(pairs):
            image, mask = _read_pair(dataset, pair)
            height, width = resized_shape(image.shape[0], image.shape[1], image_size)
            images[row] = PADDING_RGB
            images[row, :height, :width] = resize(image, (height, width), Image.Resampling.BILINEAR)
            masks[row, :height, :width] = resize(mask, (height, width), Image.Resampling.NEAREST)
            items.append({"name": pair.name, "split": pair.split, "group": pair.group,
                          "image": dataset.relative(pair.image), "mask": dataset.relative(pair.mask),
                          "original_size": list(image.shape[:2]), "input_size": [height, width]})  # fmt: skip
            progress(row + 1, len(pairs), f"preprocess {dataset.card.name}")
        images.flush()
        masks.flush()
        manifest = {
            "image_size": image_size,
            "dataset_sha256": fingerprint(dataset),
            "classes": list(dataset.card.classes),
            "items": items,
        }
        write_json(folder / "manifest.json", manifest)


def load_prepared(folder: Path, split: str) -> PreparedData:
    """Open one split of what `preprocess` wrote, without reading the pixels.

    Raises:
        DataError: if `folder` holds no preprocessed data, or nothing of this split.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
        masks = np.load(folder / "masks.npy", mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is not preprocessed data ({error}); run stage preprocess") from error
    rows = [row for row, item in enumerate(manifest["items"]) if item["split"] == split]
    if not rows:
        present = sorted({item["split"] for item in manifest["items"]})
        raise DataError(f"{folder} has no image of split '{split}', only of {', '.join(present)}")
    part = slice(rows[0], rows[-1] + 1)
    items = manifest["items"][part]
    return PreparedData(
        images=images[part],
        masks=masks[part],
        input_sizes=[(item["input_size"][0], item["input_size"][1]) for item in items],
        original_sizes=[(item["original_size"][0], item["original_size"][1]) for item in items],
        names=[item["name"] for item in items],
        groups=[item.get("group", item["name"]) for item in items],
        classes=tuple(manifest.get("classes", ("foreground",))),
    )


def resized_shape(height: int, width: int, image_size: int) -> tuple[int, int]:
    """Return (H, W) after the longer side became `image_size`, rounded as SAM's code does."""
    scale = image_size / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize(pixels: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """Return (H, W[, 3]) uint8 pixels at another (H, W); bilinear is antialiased when it shrinks."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how))


def _read_pair(dataset: Dataset, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    if pair.image is None or pair.mask is None:
        missing = "image" if pair.image is None else "mask"
        raise DataError(f"{dataset.root}: '{pair.name}' has no {missing}; run naslora data check")
    image, mask = read_image(pair.image), read_mask(pair.mask, dataset.card.mask_threshold)
    if image.shape[:2] != mask.shape:
        raise DataError(f"{pair.mask} is {mask.shape}, its image {image.shape[:2]}; run naslora data check")
    return image, mask
