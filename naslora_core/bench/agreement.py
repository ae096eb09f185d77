"""Does a search measure what it claims? Its order of the layers, against what validation loses without each of them.

Leave one out: of a model that was trained under a budget, one layer's branch is taken away, or its spatial operation is
reduced to the tap on the token itself, and validation Dice is measured again, without any further training.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from torch import Tensor

from naslora_core.adapters import Adapter
from naslora_core.adapters.budget.layer import FoundLayer
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.errors import DataError
from naslora_core.evaluation.bootstrap import CONFIDENCE
from naslora_core.ops import LinearPrimitive, PointwisePrimitive
from naslora_core.ops.base import identity_kernel, taps_of
from naslora_core.progress import Progress, silent
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.validation import dice_per_image

_DRAWS = 2000


@dataclass(frozen=True)
class Worth:
    """By how much the loss on training images rose, or would have risen, without something; None where not measured.

    Attributes:
        branch: without the layer's branch.
        neighbours: without what its operation sees beside the token.
    """

    branch: float | None
    neighbours: float | None


@dataclass(frozen=True)
class LayerDrop:
    """What validation loses without one layer's branch.

    Attributes:
        layer: "image_encoder.blocks.0.attn.qkv".
        operation: what it chose.
        ranks: by projection.
        worth: as the search measured it last.
        drops: of the Dice of every validation image without the branch, (N,); above 0 the branch is of use.
        pointwise_drops: the same with the branch's operation reduced to its middle tap; None where it is pointwise.
    """

    layer: str
    operation: str
    ranks: Mapping[str, int]
    worth: Worth
    drops: np.ndarray
    pointwise_drops: np.ndarray | None


def read_worth(genotype: Mapping[str, Any]) -> dict[str, Worth]:
    """Return what a search under a budget has measured of every layer, by its name, from genotype.json.

    Raises:
        DataError: if there was no such search.
    """
    found = {
        layer["layer"]: Worth(layer["worth_of_branch"], layer.get("worth_of_neighbours"))
        for layer in genotype["layers"]
        if layer.get("worth_of_branch") is not None
    }
    if not found:
        raise DataError(
            "genotype.json says of no layer what it is worth: the architecture was drawn or given, or layers mix; name "
            "a run with search.budget and search.alphas searched"
        )
    return found


def leave_one_out(
    segmenter: PromptFreeSegmenter,
    adapters: Mapping[str, Adapter],
    worth: Mapping[str, Worth],
    validation: PreparedData,
    precision: str,
    progress: Progress = silent,
) -> list[LayerDrop]:
    """Measure what validation loses without each branch, in the order of the layers; the model is left as it was.

    Args:
        segmenter: trained under a budget, in evaluation mode.
        adapters: its layers that have a branch, by name.
        worth: of each layer, as the search measured it.
        validation: the validation split.
        precision: "auto", "fp32" or "bf16".
        progress: reports the layers.

    Raises:
        DataError: if a layer was not found under a budget, or the search has not measured it.
    """

    def measure() -> np.ndarray:
        return dice_per_image(segmenter, validation, range(len(validation)), precision).double().numpy()

    whole, found = measure(), []
    for done, (name, layer) in enumerate(adapters.items()):
        if not isinstance(layer, FoundLayer) or name not in worth:
            raise DataError(f"{name} was not searched under a budget; name a run with search.budget")
        with _without_branch(layer):
            drops = whole - measure()
        pointwise = None
        if not isinstance(layer.op, PointwisePrimitive):
            with _middle_tap(layer):
                pointwise = whole - measure()
        found.append(LayerDrop(name, layer.choice.operation, layer.choice.ranks, worth[name], drops, pointwise))
        progress(done + 1, len(adapters), f"without {name}")
    return found


def agreement(found: Sequence[LayerDrop], seed: int) -> dict[str, Any]:
    """Return how far the search's order agrees with the measured one, as Spearman's rank correlations.

    Returns:
        "branch": of the branch's worth with the drop without it; "chosen_rank": of the mean rank that was chosen with
        the same; "neighbours": of the neighbours' worth with the drop when the operation is reduced to its middle
        tap. Each is {"rho", "low", "high", "layers"}, see `rank_correlation`.
    """
    branches = [(one.worth.branch, one.drops) for one in found if one.worth.branch is not None]
    spatial = [
        (one.worth.neighbours, one.pointwise_drops)
        for one in found
        if one.worth.neighbours is not None and one.pointwise_drops is not None
    ]
    ranks = [(_mean_rank(one), one.drops) for one in found]
    return {
        kind: rank_correlation(np.array([score for score, _ in pairs]), np.array([drops for _, drops in pairs]), seed)
        for kind, pairs in (("branch", branches), ("chosen_rank", ranks), ("neighbours", spatial))
    }


def rank_correlation(scores: np.ndarray, drops: np.ndarray, seed: int) -> dict[str, float | int | None]:
    """Return Spearman's rank correlation of scores with mean drops, and its interval by drawing layers and images anew.

    Args:
        scores: (layers,).
        drops: (layers, images).
        seed: of the draws.

    Returns:
        `rho`, None for fewer than three layers or where all are alike; `low` and `high`, the ends of its 95 % interval;
        `layers`.
    """
    layers = len(scores)
    rho = _spearman(scores, drops.mean(axis=1)) if layers >= 3 else None  # noqa: PLR2004 two are always in order
    if rho is None:
        return {"rho": None, "low": None, "high": None, "layers": layers}
    generator, images = np.random.default_rng(seed), drops.shape[1]
    drawn = []
    for _ in range(_DRAWS):
        of_layers, of_images = generator.integers(layers, size=layers), generator.integers(images, size=images)
        drawn.append(_spearman(scores[of_layers], drops[of_layers][:, of_images].mean(axis=1)))
    tail = 50 * (1 - CONFIDENCE)
    # A draw in which all are alike has no order.
    low, high = np.percentile([one for one in drawn if one is not None], [tail, 100 - tail])
    return {"rho": round(rho, 4), "low": round(float(low), 4), "high": round(float(high), 4), "layers": layers}


def describe_layer(one: LayerDrop) -> dict[str, Any]:
    """Return a layer as a line of a table, as JSON can hold it."""
    return {
        "layer": one.layer,
        "operation": one.operation,
        "ranks": dict(one.ranks),
        "worth_of_branch": one.worth.branch,
        "worth_of_neighbours": one.worth.neighbours,
        "drop": round(float(one.drops.mean()), 6),
        "pointwise_drop": None if one.pointwise_drops is None else round(float(one.pointwise_drops.mean()), 6),
    }


class _Kernel(PointwisePrimitive):
    """A fixed pointwise kernel, (C, C, 1, 1)."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__(len(kernel))
        self.register_buffer("kernel", kernel)

    def taps(self) -> Tensor:
        return self.get_buffer("kernel")


@contextmanager
def _without_branch(layer: FoundLayer) -> Iterator[None]:
    scaling, layer.scaling = layer.scaling, 0.0
    try:
        yield
    finally:
        layer.scaling = scaling


@contextmanager
def _middle_tap(layer: FoundLayer) -> Iterator[None]:
    """Let the operation see the token itself alone; of a filter of waves, the identity beside it is left."""
    operation = layer.op
    kernel = identity_kernel(layer.rank).to(layer.lora_A)
    if isinstance(operation, LinearPrimitive):
        kernel = taps_of(operation.as_kernel(), 1)
    layer.op = _Kernel(kernel.detach().clone())
    try:
        yield
    finally:
        layer.op = operation


def _mean_rank(one: LayerDrop) -> float:
    return sum(one.ranks.values()) / len(one.ranks)


def _spearman(one: np.ndarray, other: np.ndarray) -> float | None:
    ranks = [rankdata(values) for values in (one, other)]
    if any(np.ptp(own) == 0 for own in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])
