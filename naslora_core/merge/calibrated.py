"""Merge `calibrated`: the weight closest to the adapter on training images by least squares, at no inference cost.

What a cell adds to a token depends on its neighbours. Where these are predictable from the token itself, and
in images they largely are, a matrix W_e' does nearly the same: the least-squares map from the layer's input x
to the cell's output t. As it is (rank, in_features), what is left in the blocks is LoRA of the same rank.

The neck's two convolutions follow all adapted layers and are part of every SAM. Fitted to give what they gave
behind the unmerged blocks, they recover some of the neighbourhood that a matrix a token cannot see, for nothing. So do
those of SAM 3's pyramid; those of SAM 2's see single tokens, and recover little.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.adapters import LowRankAdapter
from naslora_core.cell.kernels import run_kernels
from naslora_core.data.prepared.batches import make_batch, spread_rows
from naslora_core.data.prepared.crops import as_squares
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import MergeError
from naslora_core.merge.by_layer import LayerMerge
from naslora_core.merge.fitting.moments import Moments
from naslora_core.merge.fitting.neck import refit_neck
from naslora_core.merge.fitting.passes import Passes
from naslora_core.merge.layers import LoRAFactors, Merged, linear_layer, low_rank_adapters
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import Sam

_BATCH_SIZE = 8
_MESSAGE = "calibrate the merge"


@torch.no_grad()
def calibrate(
    sam: Sam,
    training: PreparedData,
    count: int,
    ridge: float,
    progress: Progress = silent,
    precision: str = "fp32",
) -> Merged:
    """Return a merged copy of an adapted SAM, with upstream's keys; the original is untouched.

    Every layer is fitted to what it sees once the layers before it are merged. In the end the neck is fitted
    to make up for what is left.

    Args:
        training: the images the fit is made on, without augmentation; of whole images their parts.
        count: how many of them, evenly spaced; all if there are fewer.
        ridge: regularisation, relative to the mean square of a layer's input.
        progress: is told of each layer and of the neck.
        precision: in which the model sees the images, see `MergeContext`.

    Raises:
        MergeError: if an adapter has no lora_A and lora_B.
    """
    merged = copy.deepcopy(sam).requires_grad_(False).eval()
    names = list(low_rank_adapters(merged, "calibrated"))
    batches = CalibrationImages(training, count, merged.device)
    passes = Passes(merged, batches, precision)
    fitted = fit_layers(merged, names, passes, ridge, progress)
    if names:
        refit_neck(merged, sam, batches, ridge, precision, passes)
    progress(len(names) + 1, len(names) + 1, _MESSAGE)
    notes = [calibrated_note(name, fit) for name, fit in fitted.items()]
    return Merged(merged, {name: fit.factors for name, fit in fitted.items()}, notes)


@dataclass(frozen=True)
class FittedLayer:
    """A layer whose branch is replaced by a matrix.

    Attributes:
        unexplained: see `LayerMerge`.
    """

    layer: nn.Linear
    factors: LoRAFactors
    unexplained: float


def fit_layers(
    merged: Sam, names: Sequence[str], passes: Passes, ridge: float, progress: Progress = silent
) -> dict[str, FittedLayer]:
    """Fit layers and put them in place of their adapters, each fitted to what it sees behind those before it.

    Args:
        merged: changed in place.
        names: of layers with low-rank adapters, in the order of the model.
        passes: of the calibration images through `merged`.
        ridge: regularisation, relative to the mean square of a layer's input.
        progress: is told of each layer, and of one more piece of work that follows.
    """
    fitted = {}
    for done, name in enumerate(names, start=1):
        adapter = merged.get_submodule(name)
        assert isinstance(adapter, LowRankAdapter)
        fitted[name] = _fit(adapter, passes, ridge)
        merged.set_submodule(name, fitted[name].layer)
        progress(done, len(names) + 1, _MESSAGE)
    return fitted


@torch.no_grad()
def _fit(adapter: LowRankAdapter, passes: Passes, ridge: float) -> FittedLayer:
    moments = Moments(adapter.base_layer.in_features, adapter.rank, adapter.lora_A.device)
    for x in passes.inputs_of(adapter):
        moments.add(x, adapter.branch(F.linear(x, adapter.lora_A)))
    up = adapter.scaling * adapter.lora_B.double()
    factors = LoRAFactors(moments.fit(_centre(adapter) @ adapter.lora_A.double(), ridge), up)
    layer = linear_layer(adapter.base_layer, factors.delta_weight())
    return FittedLayer(layer, factors, moments.unexplained(factors.down, up))


def calibrated_note(name: str, fit: FittedLayer) -> LayerMerge:
    """Return the entry of a calibrated layer."""
    reason = f"a matrix gives {100 * (1 - fit.unexplained):.1f} % of what it adds"
    return LayerMerge(layer=name, merge="calibrated", reason=reason, unexplained=fit.unexplained)


class CalibrationImages:
    """Batches of training images, (B, 3, S, S) uint8, that can be iterated repeatedly without being held in memory.

    Args:
        data: of whole images their parts are taken.
        count: how many, evenly spaced; all if there are fewer.
        device: where the batches go.
    """

    def __init__(self, data: PreparedData, count: int, device: torch.device) -> None:
        self._data, self._device = as_squares(data), device
        self._rows = spread_rows(range(len(self._data)), count, _BATCH_SIZE)

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
