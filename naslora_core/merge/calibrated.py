"""Merge `calibrated`: the weight closest to the adapter on training images by least squares, at no inference cost.

What a cell adds to a token depends on its neighbours. Where these are predictable from the token itself, and
in images they largely are, a matrix W_e' does nearly the same: the least-squares map from the layer's input x
to the cell's output t. As it is (rank, in_features), what is left in the blocks is LoRA of the same rank.

The neck's two convolutions follow all adapted layers and are part of every SAM. Fitted to give what they gave
behind the unmerged blocks, they recover some of the neighbourhood that a matrix a token cannot see, for nothing.
"""

import copy
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.adapters import LowRankAdapter
from naslora_core.cell.kernels import run_kernels
from naslora_core.data.prepared.batches import make_batch, spread_rows
from naslora_core.data.prepared.crops import as_squares
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import MergeError
from naslora_core.merge.layers import LoRAFactors, Merged, linear_layer, low_rank_adapters
from naslora_core.merge.moments import Moments, input_of
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import PromptFreeSegmenter

_BATCH_SIZE = 8


@torch.no_grad()
def calibrate(sam: Sam, training: PreparedData, count: int, ridge: float, progress: Progress = silent) -> Merged:
    """Return a merged copy of an adapted SAM, with upstream's keys; the original is untouched.

    Every layer is fitted to what it sees once the layers before it are merged. In the end the neck is fitted
    to make up for what is left.

    Args:
        training: the images the fit is made on, without augmentation; of whole images their parts.
        count: how many of them, evenly spaced; all if there are fewer.
        ridge: regularisation, relative to the mean square of a layer's input.

    Raises:
        MergeError: if an adapter has no lora_A and lora_B.
    """
    merged = copy.deepcopy(sam).requires_grad_(False).eval()
    adapters = low_rank_adapters(merged, "calibrated")
    training = as_squares(training)
    batches = _Batches(training, spread_rows(range(len(training)), count, _BATCH_SIZE), merged.device)
    factors = {}
    for done, (name, adapter) in enumerate(adapters.items()):
        moments = Moments(adapter.base_layer.in_features, adapter.rank, adapter.lora_A.device)
        for images in batches:
            x = input_of(adapter, PromptFreeSegmenter(merged), images)
            moments.add(x, adapter.branch(F.linear(x, adapter.lora_A)))
        update = moments.fit(_centre(adapter) @ adapter.lora_A.double(), ridge)
        factors[name] = LoRAFactors(update, adapter.scaling * adapter.lora_B.double())
        merged.set_submodule(name, linear_layer(adapter.base_layer, factors[name].delta_weight()))
        progress(done + 1, len(adapters) + 1, "calibrate the merge")
    if adapters:
        refit_neck(merged, sam, batches, ridge)
    progress(len(adapters) + 1, len(adapters) + 1, "calibrate the merge")
    return Merged(merged, factors)


class _Batches:
    """Batches of images, (B, 3, S, S) uint8, that can be iterated repeatedly without being held in memory."""

    def __init__(self, data: PreparedData, rows: list[list[int]], device: torch.device) -> None:
        self._data, self._rows, self._device = data, rows, device

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self._rows:
            yield make_batch(self._data, rows).images.to(self._device)


def _centre(adapter: LowRankAdapter) -> Tensor:
    """Return the centre tap of a cell, its effect on a token among zeros, (rank, rank); the identity if unknown."""
    unit = torch.eye(adapter.rank, dtype=torch.float64, device=adapter.lora_A.device)
    try:
        kernels = {edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()}
    except MergeError:
        return unit
    reach = len({target for _, target in kernels}) * (max(kernel.shape[-1] for kernel in kernels.values()) // 2)
    alone = F.pad(unit[:, :, None, None], (reach, reach, reach, reach))
    return run_kernels(kernels, alone)[:, :, reach, reach].t()


@torch.no_grad()
def refit_neck(merged: Sam, adapted: Sam, batches: Iterable[Tensor], ridge: float) -> None:
    """Refit the neck's convolutions, one after the other and in place, to the outputs they have in `adapted`.

    Args:
        merged: the model whose blocks are merged already.
        adapted: the model it came from.
        batches: images, each (B, 3, S, S) uint8; iterated once for each convolution.
        ridge: keeps the weights near what they are, relative to the mean square of the inputs.
    """
    for own, other in zip(_convolutions(merged), _convolutions(adapted), strict=True):
        moments = Moments(own.weight[0].numel(), own.out_channels, own.weight.device)
        for images in batches:
            wanted = other(input_of(other, PromptFreeSegmenter(adapted), images))
            moments.add(_patches(own, input_of(own, PromptFreeSegmenter(merged), images)), wanted.permute(0, 2, 3, 1))
        own.weight.copy_(moments.fit(own.weight.double().flatten(1), ridge).view_as(own.weight))


def _convolutions(sam: Sam) -> list[nn.Conv2d]:
    return [layer for layer in sam.image_encoder.neck if isinstance(layer, nn.Conv2d)]


def _patches(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the input patch of each output pixel, (B, H, W, C * k * k), in the order of the flattened weight."""
    height, width = x.shape[-2:]
    # The neck has no bias, stride 1 and padding that keeps the size.
    size = (convolution.kernel_size[0], convolution.kernel_size[1])
    columns = F.unfold(x, size, padding=(size[0] // 2, size[1] // 2))
    return columns.transpose(1, 2).unflatten(1, (height, width))
