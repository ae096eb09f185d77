"""Read the searched layers of genotype.json, and the entropy of their weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np


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


def read_layers(genotype: dict[str, Any]) -> list[Layer]:
    """Return the searched layers of a genotype; none for methods without a search."""
    return [Layer(entry["layer"], entry["window"], entry["weights"]) for entry in genotype["layers"]]


def normalised_entropy(weights: np.ndarray) -> float:
    """Return -sum(w log w) / log(n) of weights that sum to one: 1 for equal ones, 0 for a single choice."""
    if len(weights) < 2:
        return 0.0
    positive = weights[weights > 0]
    return float(-(positive * np.log(positive)).sum() / np.log(len(weights)))
