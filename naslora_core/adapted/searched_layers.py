"""Read genotype.json: the layers that mix operations, or those that chose one, and the entropy of their weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.errors import DataError
from naslora_core.reading import read_object

# Where a mean over architectures has layers that some of them leave as they are.
NO_BRANCH = "no branch"
_REMEDY = "the search_train stage writes it: start naslora run"


@dataclass(frozen=True)
class Layer:
    """Weights of the primitives in one adapted layer.

    Args:
        name: module path in the model; of a cell with several edges also the edge, "blocks.0.attn.qkv:0_1".
        window: "image" where the layer sees the whole image grid, else the size of the window it sees.
        weights: softmax weight by primitive.
    """

    name: str
    window: str
    weights: dict[str, float]

    @property
    def strongest(self) -> str:
        """The primitive with the largest weight; the first of equals."""
        return max(self.weights, key=lambda primitive: self.weights[primitive])

    @property
    def entropy(self) -> float:
        """Normalised entropy of the weights: 0 for one choice, 1 for equal shares."""
        return normalised_entropy(np.array(list(self.weights.values())))


@dataclass(frozen=True)
class ChosenLayer:
    """What one layer chose under a budget, or was given.

    Args:
        name: module path in the model.
        operation: of its branch.
        ranks: by projection, "q", "k" and "v" or the layer's own name; without a branch all are 0.
        sees: "token", the size of a window, or "image": what the operation sees.
        cost: by what share of the base's time for an image the merged layer is slower, as estimated.
    """

    name: str
    operation: str
    ranks: dict[str, int]
    sees: str
    cost: float

    @property
    def has_branch(self) -> bool:
        """Whether anything is added to the layer."""
        return any(self.ranks.values())


@dataclass(frozen=True)
class FoundArchitecture:
    """An architecture of one operation a layer.

    Args:
        layers: in the order of the model.
        spatial: the operations, chosen or not, that look beyond a token.
        inference: time of an image after a merge over the base's, as estimated.
        parameters: of all branches.
    """

    layers: list[ChosenLayer]
    spatial: list[str]
    inference: float
    parameters: int

    @property
    def branches(self) -> list[ChosenLayer]:
        """The layers that have one."""
        return [layer for layer in self.layers if layer.has_branch]

    @property
    def spatial_branches(self) -> list[ChosenLayer]:
        """The branches that look beyond a token."""
        return [layer for layer in self.branches if layer.operation in self.spatial]


def read_genotype(path: Path) -> dict[str, Any]:
    """Return the content of a genotype.json.

    Raises:
        DataError: if it is missing, damaged, or lacks what `read_layers` and `read_found` need.
    """
    try:
        genotype = read_object(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} not found; {_REMEDY}") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}); {_REMEDY}") from error
    needed = ("space", "layers", *(("spatial", "parameters") if "inference" in genotype else ()))
    if missing := [key for key in needed if key not in genotype]:
        raise DataError(f"{path} lacks {', '.join(missing)}; expected {', '.join(needed)}. Run its stage again")
    try:
        read_layers(genotype)
        read_found(genotype)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: a layer lacks {error}; {_REMEDY}") from error
    return genotype


def read_layers(genotype: dict[str, Any]) -> list[Layer]:
    """Return the searched layers of a genotype; none for methods without a search."""
    return [Layer(entry["layer"], entry["window"], entry["weights"]) for entry in genotype["layers"]]


def read_found(genotype: dict[str, Any]) -> FoundArchitecture | None:
    """Return the architecture that was found under a budget or given; None where layers mix operations."""
    if "inference" not in genotype:
        return None
    layers = [
        ChosenLayer(entry["layer"], entry["operation"], entry["ranks"], entry["sees"], entry["cost"])
        for entry in genotype["layers"]
    ]
    return FoundArchitecture(layers, genotype["spatial"], genotype["inference"], genotype["parameters"])


def mean_layers(genotypes: Sequence[dict[str, Any]]) -> tuple[list[Layer], list[str]]:
    """Return the layers of several trainings with the means of their weights, and the space.

    Under a budget trainings find branches in different layers: a layer without one, in a genotype or left out of it,
    has "no branch", which is part of the space then.
    """
    own = [{layer.name: layer for layer in read_layers(_with_absence(genotype))} for genotype in genotypes]
    known = {name: layer for layers in own for name, layer in layers.items()}
    space = list(dict.fromkeys(name for genotype in genotypes for name in genotype["space"]))
    absent = Layer("", "", {NO_BRANCH: 1.0})
    means = []
    for name in sorted(known, key=_in_order):
        alike = [layers.get(name, absent) for layers in own]
        weights = {op: sum(layer.weights.get(op, 0.0) for layer in alike) / len(alike) for op in (*space, NO_BRANCH)}
        means.append(Layer(name, known[name].window, weights))
    if any(layer.weights[NO_BRANCH] for layer in means):
        return means, [*space, NO_BRANCH]
    return [Layer(one.name, one.window, {op: one.weights[op] for op in space}) for one in means], space


def normalised_entropy(weights: np.ndarray) -> float:
    """Return -sum(w log w) / log(n) of weights that sum to one: 1 for equal ones, 0 for a single choice."""
    if len(weights) < 2:
        return 0.0
    positive = weights[weights > 0]
    return float(-(positive * np.log(positive)).sum() / np.log(len(weights)))


def _with_absence(genotype: dict[str, Any]) -> dict[str, Any]:
    layers = [
        entry if any(entry.get("ranks", {"": 1}).values()) else {**entry, "weights": {NO_BRANCH: 1.0}}
        for entry in genotype["layers"]
    ]
    return {**genotype, "layers": layers}


def _in_order(name: str) -> list[int]:
    """Return a key that sorts module paths by their blocks; those of one block stay in the order they have."""
    return [int(part) for part in name.split(".") if part.isdigit()]
