"""Random crops of training images at their own scale, half of them around something."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.errors import DataError
from naslora_core.progress import Progress, with_progress

# Images and masks up to this stay in memory; others are read anew for every crop.
_MEMORY_BYTES = 2**31
# Of the pixels of a class in an image, as many as crops are drawn around.
_PLACES = 4096
_JITTER = 0.2


@dataclass(frozen=True)
class Crops:
    """A batch: images (B, 3, S, S) in 0..1, class ids (B, 1, S, S), and where they count (B, 1, S, S), all float32."""

    images: Tensor
    masks: Tensor
    valid: Tensor


class CropSampler:
    """Draw crops with flips, quarter turns and changes of colour.

    Args:
        pairs: of the training images.
        card: says what masks mean.
        crop_px: side of a crop; images that are smaller are padded, and the padding does not count.
        longer_px: to which an image's longer side is shrunk before; None for images as they are.
        seed: the same one draws the same crops.
        progress: reports the reading.

    Raises:
        DataError: if there is no image, or one cannot be read.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        card: DatasetCard,
        crop_px: int,
        longer_px: int | None,
        seed: int,
        progress: Progress,
    ) -> None:
        if not pairs:
            raise DataError("no image to train on; expected at least one in the train split, see splits.csv")
        self._pairs, self._card, self._longer_px, self._crop_px = pairs, card, longer_px, crop_px
        self._random = np.random.default_rng(seed)
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._places: list[list[np.ndarray]] = []
        held = 0
        for place in with_progress(range(len(pairs)), progress, "read images for the U-Net"):
            image, mask = self._read(place)
            self._places.append(_object_pixels(mask, len(card.classes), np.random.default_rng([seed, place])))
            held += image.nbytes + mask.nbytes
            if held <= _MEMORY_BYTES:
                self._kept[place] = image, mask

    def draw(self, count: int) -> Crops:
        """Return the next batch of `count` crops."""
        crops = [self._crop() for _ in range(count)]
        images = np.stack([image for image, _, _ in crops]).transpose(0, 3, 1, 2)
        masks, valid = (np.stack(maps)[:, None].astype(np.float32) for maps in list(zip(*crops, strict=True))[1:])
        return Crops(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(masks), torch.from_numpy(valid))

    def _crop(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random, side = self._random, self._crop_px
        place = int(random.integers(len(self._pairs)))
        image, mask = self._kept.get(place) or self._read(place)
        present = [pixels for pixels in self._places[place] if len(pixels)]
        start = [int(random.integers(max(length - side, 0) + 1)) for length in mask.shape]
        if present and random.random() < 0.5:
            pixels = present[random.integers(len(present))]
            inside = pixels[random.integers(len(pixels))] - random.integers(side, size=2)
            start = [int(np.clip(inside[axis], 0, max(mask.shape[axis] - side, 0))) for axis in (0, 1)]
        window = tuple(slice(first, first + side) for first in start)
        colours = _jitter(image[window].astype(np.float32) / 255, random)
        ids, turn, flip = mask[window], int(random.integers(4)), random.random() < 0.5
        padding = [(0, side - length) for length in ids.shape]
        # Grey is zero after normalising.
        maps = (
            np.pad(colours, [*padding, (0, 0)], constant_values=0.5),
            np.pad(np.where(ids == IGNORED_ID, 0, ids), padding),
            np.pad(ids != IGNORED_ID, padding),
        )
        turned = (np.rot90(one, turn) for one in maps)
        image_, ids_, valid_ = (one[:, ::-1] if flip else one for one in turned)
        return image_, ids_, valid_

    def _read(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        image, mask = read_pair(self._pairs[place], self._card)
        small = resize_image(image, self._longer_px)
        if small.shape != image.shape:
            shape = small.shape[1], small.shape[0]
            mask = np.asarray(Image.fromarray(mask).resize(shape, Image.Resampling.NEAREST))
        return small, mask


def resize_image(image: np.ndarray, longer_px: int | None) -> np.ndarray:
    """Return an image (H, W, 3) whose longer side is `longer_px`; itself where it is no longer, or for None."""
    height, width = image.shape[:2]
    if longer_px is None or max(height, width) <= longer_px:
        return image
    factor = longer_px / max(height, width)
    shape = max(round(width * factor), 1), max(round(height * factor), 1)
    return np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BILINEAR))


def _object_pixels(mask: np.ndarray, classes: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return some pixels of every class, each (N, 2) of row and column."""
    found = []
    for number in range(1, classes + 1):
        pixels = np.flatnonzero(mask == number)
        chosen = random.choice(pixels, _PLACES, replace=False) if len(pixels) > _PLACES else pixels
        found.append(np.stack(np.unravel_index(chosen, mask.shape), axis=1))
    return found


def _jitter(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and saturation of an image (H, W, 3) in 0..1, each by up to a fifth."""
    brightness, contrast, saturation = 1 + random.uniform(-_JITTER, _JITTER, 3).astype(np.float32)
    grey = image.mean(axis=2, keepdims=True)
    image = grey + saturation * (image - grey)
    mean = image.mean()
    return np.clip(brightness * (mean + contrast * (image - mean)), 0, 1, dtype=np.float32)
