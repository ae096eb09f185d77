"""Batches of prepared images, shuffled by a seed and varied as the world varies them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from naslora_core.data.preprocess import PreparedData


@dataclass(frozen=True)
class Batch:
    """Images (B, 3, S, S) uint8, and masks and valid areas (B, 1, S, S) float32 of 0 and 1."""

    images: Tensor
    masks: Tensor
    valid: Tensor


def augmentation() -> v2.Transform:
    """Return random flips, small turns, shifts and changes of scale and light."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(
                degrees=20,
                translate=(0.08, 0.08),
                scale=(0.8, 1.25),
                interpolation=InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )


def make_batch(data: PreparedData, rows: Sequence[int], transform: v2.Transform | None = None) -> Batch:
    """Assemble the given rows, each transformed by itself with its mask and valid area."""
    images, areas = [], []
    for row in rows:
        height, width = data.input_sizes[row]
        area = np.zeros((2, *data.masks.shape[1:]), dtype=np.uint8)
        area[0] = data.masks[row]
        area[1, :height, :width] = 1
        image = tv_tensors.Image(torch.from_numpy(np.array(data.images[row])).permute(2, 0, 1))
        mask = tv_tensors.Mask(torch.from_numpy(area))
        if transform is not None:
            image, mask = transform(image, mask)
        images.append(image.as_subclass(Tensor))
        areas.append(mask.as_subclass(Tensor))
    stacked = torch.stack(areas).float()
    return Batch(torch.stack(images), stacked[:, :1], stacked[:, 1:])


class ShuffledBatches:
    """Endless passes over some rows, each in a new order.

    Args:
        data: where the rows lie.
        rows: which rows take part.
        batch_size: rows in a batch; the last batch of a pass may be smaller.
        seed: start of the order.
        augment: vary the images.
    """

    def __init__(self, data: PreparedData, rows: Sequence[int], batch_size: int, seed: int, augment: bool) -> None:
        self._data = data
        self._rows = list(rows)
        self._batch_size = batch_size
        self._transform = augmentation() if augment else None
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return -(-len(self._rows) // self._batch_size)

    def one_pass(self) -> Iterator[Batch]:
        """Yield every row once."""
        order = torch.randperm(len(self._rows), generator=self.generator).tolist()
        for start in range(0, len(order), self._batch_size):
            rows = [self._rows[i] for i in order[start : start + self._batch_size]]
            yield make_batch(self._data, rows, self._transform)

    def endless(self) -> Iterator[Batch]:
        """Yield pass after pass."""
        while True:
            yield from self.one_pass()


def split_for_search(count: int, arch_split: float, seed: int) -> tuple[list[int], list[int]]:
    """Divide the training rows between weights and alphas.

    Args:
        count: number of training rows.
        arch_split: share held out for the alphas; 0 gives both all rows.

    Returns:
        rows of stage 1 and rows of stage 2; both have at least one.
    """
    held_out = round(count * arch_split)
    if held_out == 0 or held_out == count:
        return list(range(count)), list(range(count))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(order[held_out:]), sorted(order[:held_out])
