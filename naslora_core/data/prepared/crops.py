"""Random crops of whole images at their own scale, and all parts of an image as squares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from naslora_core.data.prepared.batches import Batch, ShuffledBatches, Square, assemble
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.geometry.tiling import tile_starts
from naslora_core.sam.square import fit_into_square, resize_mask, resized_shape, window_side

if TYPE_CHECKING:
    from torchvision.transforms import v2

# Half of the crops show an object for certain; the others show the background as often as it is there.
ANCHORED_SHARE = 0.5
# By how much a crop's scale may differ from the images' own, either way.
_MOST_ZOOM = 1.25


@dataclass(frozen=True)
class Window:
    """A square part of image `row`, in the image's own pixels; it may reach over the right and lower edge."""

    row: int
    top: int
    left: int
    side: int


def cut(data: PreparedData, window: Window) -> Square:
    """Return what the model sees of a window: image (S, S, 3), ids (S, S), and (H, W) of what is inside the image."""
    rows, columns = slice(window.top, window.top + window.side), slice(window.left, window.left + window.side)
    side, scale = data.side, data.side / window.side
    image, inside = fit_into_square(data.images[window.row][rows, columns], side, scale)
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[: inside[0], : inside[1]] = resize_mask(data.masks[window.row][rows, columns], side, scale)
    return Square(image, mask, inside)


class ShuffledCrops(ShuffledBatches):
    """An endless iterator of batches of random crops, as many in a pass as it takes to cover every image.

    Where an image has objects, `ANCHORED_SHARE` of its crops show a part of one, of each class equally often.

    Args:
        data: whole images.
        rows: which of them take part.
        batch_size: crops in a batch; the last batch of a pass may be smaller.
        seed: of order and places.
        augment: flips, quarter turns, and changes of scale and colour; those of colour by torch's own random state.
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
        assert data.scale is not None
        self._window = window_side(data.side, data.scale)
        crops = [row for row in rows for _ in range(_windows_to_cover(data.input_sizes[row], self._window))]
        super().__init__(data, crops, batch_size, seed, augment, device)

    def _augmentation(self) -> "v2.Transform":
        from naslora_core.data.prepared.augmentation import crop_augmentation

        return crop_augmentation()

    def _make(self, rows: Sequence[int]) -> Batch:
        squares = [cut(self._data, self._draw(row)) for row in rows]
        names = tuple(self._data.names[row] for row in rows)
        return assemble(squares, names, len(self._data.classes), self._transform, self._device)

    def _draw(self, row: int) -> Window:
        # All numbers are drawn whether they are needed or not, so that one choice never shifts the others.
        zoom, on_object, anchor, down, right = torch.rand(5, generator=self._generator).tolist()
        side = round(self._window / _MOST_ZOOM ** (2 * zoom - 1)) if self._transform else self._window
        height, width = self._data.input_sizes[row]
        assert self._data.anchors is not None
        anchors = self._data.anchors[row]
        known = int(np.count_nonzero(anchors[:, 0] >= 0))
        if known and on_object < ANCHORED_SHARE:
            y, x = anchors[int(anchor * known)].tolist()
            top, left = y - int(down * side), x - int(right * side)
        else:
            top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
        return Window(row, _inside(top, height - side), _inside(left, width - side), side)


def as_squares(data: PreparedData, overlap: float = 0.0) -> PreparedData:
    """Return data whose rows are squares: as they are, or every part of every whole image, cut when it is read.

    Args:
        data: squares, or whole images.
        overlap: share of a part, 0..0.5, that its neighbour covers at least.
    """
    if data.scale is None:
        return data
    side = window_side(data.side, data.scale)
    windows = []
    for row, (height, width) in enumerate(data.input_sizes):
        tops, lefts = (tile_starts(length, min(side, length), round(overlap * side)) for length in (height, width))
        windows += [Window(row, top, left, side) for top in tops for left in lefts]
    inside = [_inside_sizes(data, window) for window in windows]
    return replace(
        data,
        images=_CutRows(data, windows, 0),
        masks=_CutRows(data, windows, 1),
        input_sizes=inside,
        original_sizes=[data.original_sizes[window.row] for window in windows],
        names=[data.names[window.row] for window in windows],
        groups=[data.groups[window.row] for window in windows],
        scale=None,
        anchors=None,
    )


class _CutRows:
    """The images (0) or the masks (1) of windows, cut when they are read."""

    def __init__(self, data: PreparedData, windows: Sequence[Window], part: int) -> None:
        self._data, self._windows, self._part = data, windows, part

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> np.ndarray:
        square = cut(self._data, self._windows[index])
        return square.image if self._part == 0 else square.mask


def _windows_to_cover(size: tuple[int, int], side: int) -> int:
    return -(-size[0] // side) * -(-size[1] // side)


def _inside(start: int, last: int) -> int:
    return max(0, min(start, last))


def _inside_sizes(data: PreparedData, window: Window) -> tuple[int, int]:
    height, width = data.input_sizes[window.row]
    shown = min(window.side, height - window.top), min(window.side, width - window.left)
    return resized_shape(*shown, data.side, data.side / window.side)
