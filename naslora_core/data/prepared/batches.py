"""Batches of prepared images, shuffled by a seed and randomly augmented."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from naslora_core.data.prepared.prepared import PreparedData, evenly_spaced
from naslora_core.errors import ConfigError

# Only training augments, and torchvision takes as long to import as torch.
if TYPE_CHECKING:
    from torchvision.transforms import v2


@dataclass(frozen=True)
class Batch:
    """Images (B, 3, S, S) uint8; class ids and valid areas (0 or 1), both (B, 1, S, S) float32; names of the images.

    Padding and pixels that nobody labelled are not valid, and their id is 0.
    """

    images: Tensor
    masks: Tensor
    valid: Tensor
    names: tuple[str, ...]

    def __getitem__(self, rows: slice) -> "Batch":
        """Return the images of some rows with their masks, valid areas and names."""
        return Batch(self.images[rows], self.masks[rows], self.valid[rows], self.names[rows])


@dataclass(frozen=True)
class Square:
    """What the model sees: image (S, S, 3) uint8, class ids (S, S) uint8, and (H, W) of the image within the square."""

    image: np.ndarray
    mask: np.ndarray
    inside: tuple[int, int]


def make_batch(
    data: PreparedData,
    rows: Sequence[int],
    transform: "v2.Transform | None" = None,
    device: torch.device | None = None,
) -> Batch:
    """Assemble the given rows, each transformed by itself with its mask and valid area.

    Args:
        data: where the rows lie, squares.
        rows: which of them.
        transform: applied to an image and its mask together.
        device: where that is computed, and where the batch lies; None is the CPU.
    """
    squares = (Square(data.images[row], data.masks[row], data.input_sizes[row]) for row in rows)
    return assemble(squares, tuple(data.names[row] for row in rows), len(data.classes), transform, device)


def assemble(
    squares: Iterable[Square],
    names: tuple[str, ...],
    classes: int,
    transform: "v2.Transform | None" = None,
    device: torch.device | None = None,
) -> Batch:
    """Make a batch of squares; arguments as `make_batch`, ids above `classes` mark what nobody labelled."""
    images, areas = [], []
    for square in squares:
        height, width = square.inside
        area = np.zeros((2, *square.mask.shape), dtype=np.uint8)
        area[0] = square.mask
        area[1, :height, :width] = 1
        # Before the transform, so that its interpolation never meets an id that is none.
        ignored = area[0] > classes
        if ignored.any():
            area[:, ignored] = 0
        image = torch.from_numpy(np.array(square.image)).to(device).permute(2, 0, 1)
        mask = torch.from_numpy(area).to(device)
        if transform is not None:
            from torchvision import tv_tensors

            image, mask = transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
        images.append(image.as_subclass(Tensor))
        areas.append(mask.as_subclass(Tensor))
    stacked = torch.stack(areas).float()
    return Batch(torch.stack(images), stacked[:, :1], stacked[:, 1:], names)


class ShuffledBatches:
    """An endless iterator of batches over some rows, shuffled again on each pass.

    Args:
        data: where the rows lie.
        rows: which rows take part.
        batch_size: rows in a batch; the last batch of a pass may be smaller.
        seed: start of the order.
        augment: augment the images, by torch's own random state on the CPU, whatever the device.
        device: where batches are made.
    """

    def __init__(
        self,
        data: PreparedData,
        rows: Sequence[int],
        batch_size: int,
        seed: int,
        augment: bool,
        device: torch.device | None = None,
    ) -> None:
        self._data = data
        self._rows = list(rows)
        self._batch_size = batch_size
        self._device = device
        self._transform = self._augmentation() if augment else None
        self._generator = torch.Generator().manual_seed(seed)
        self._order: list[int] = []

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return -(-len(self._rows) // self._batch_size)

    def __next__(self) -> Batch:
        """Return the next batch of the current pass, or the first of the next pass."""
        if not self._order:
            self._order = torch.randperm(len(self._rows), generator=self._generator).tolist()
        chosen, self._order = self._order[: self._batch_size], self._order[self._batch_size :]
        return self._make([self._rows[place] for place in chosen])

    def _augmentation(self) -> "v2.Transform":
        from naslora_core.data.prepared.augmentation import augmentation

        return augmentation()

    def _make(self, rows: Sequence[int]) -> Batch:
        return make_batch(self._data, rows, self._transform, self._device)

    def state(self) -> dict[str, Any]:
        """Return the position in the current pass and the random state."""
        return {"generator": self._generator.get_state(), "order": self._order}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self._generator.set_state(state["generator"])
        self._order = state["order"]


def spread_rows(rows: Sequence[int], count: int, batch_size: int) -> list[list[int]]:
    """Return batches of up to `count` of the rows, evenly spaced."""
    chosen = evenly_spaced(rows, count)
    return [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]


def split_for_search(groups: Sequence[str], arch_split: float, seed: int) -> tuple[list[int], list[int]]:
    """Split the training rows between weights and alphas, so that no group is on both sides.

    Args:
        groups: the group of every row.
        arch_split: share of the rows held out for the alphas, or more where groups are large; 0 uses all
            rows for both.

    Returns:
        rows for the weights and rows for the alphas; both have at least one group.

    Raises:
        ConfigError: if there is only one group to divide.
    """
    everything = list(range(len(groups)))
    if arch_split == 0:
        return everything, everything
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    if len(members) == 1:
        raise ConfigError(
            f"search.arch_split {arch_split} needs two groups of training images to divide, found one with "
            f"{len(groups)}; add images of other groups, or set it to 0 to use all images for both"
        )
    order = torch.randperm(len(members), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [list(members.values())[place] for place in order]
    held_out = shuffled.pop(0)
    while len(shuffled) > 1 and len(held_out) < round(len(groups) * arch_split):
        held_out = held_out + shuffled.pop(0)
    return sorted(row for rows in shuffled for row in rows), sorted(held_out)
