"""Describe the found architecture in one sentence, and shorten the names of its layers."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from naslora_core.adapted.searched_layers import Layer

# Where a sentence has to call a mixture something; entropy is 1 for equal weights, 0 for a single one.
UNDECIDED_FROM = 0.95
DECIDED_BELOW = 0.6


def layer_label(layer: Layer) -> str:
    """Return a short name: the block's number, what the layer sees and, of a larger cell, the edge."""
    module, _, edge = layer.name.partition(":")
    numbers = [part for part in module.split(".") if part.isdigit()]
    name = f"block {numbers[0]}" if numbers else module
    return " · ".join([name, layer.window, *([edge.replace("_", "→")] if edge else [])])


def architecture_in_words(layers: Sequence[Layer], space: Sequence[str]) -> str:
    """Describe the architecture weights in one sentence.

    It names the strongest primitive, how often it wins, whether layers that see the whole image differ from
    those that see windows, and whether the search decided at all.
    """
    means = _mean_weights(layers, space)
    best = max(space, key=lambda primitive: means[primitive])
    wins = Counter(layer.strongest for layer in layers)[best]
    entropy = float(np.mean([layer.entropy for layer in layers]))
    sentence = (
        f"On average over {_count(len(layers), 'layer')} {best} weighs most ({means[best]:.2f}, where equal "
        f"shares would be {1 / len(space):.2f}), and it is the strongest primitive in {wins} of them"
    )
    return f"{sentence}{_contrast(layers, space)}; {_decidedness(entropy)} (mean entropy {entropy:.2f})."


def _mean_weights(layers: Sequence[Layer], space: Sequence[str]) -> dict[str, float]:
    return {name: float(np.mean([layer.weights[name] for layer in layers])) for name in space}


def _contrast(layers: Sequence[Layer], space: Sequence[str]) -> str:
    whole = [layer for layer in layers if layer.window == "image"]
    windowed = [layer for layer in layers if layer.window != "image"]
    if not whole or not windowed:
        return ""
    favourites = []
    for group in (whole, windowed):
        means = _mean_weights(group, space)
        favourites.append(max(space, key=lambda primitive: means[primitive]))
    if favourites[0] == favourites[1]:
        return ""
    image, window = favourites
    return f"; layers that see the whole image lean to {image}, layers that see windows to {window}"


def _decidedness(entropy: float) -> str:
    if entropy >= UNDECIDED_FROM:
        return "the search stayed close to equal weights, so read it as a mixture of operations, not as a choice"
    if entropy < DECIDED_BELOW:
        return "the search came close to a choice"
    return "the search leans without choosing"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
