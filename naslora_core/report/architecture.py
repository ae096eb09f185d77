"""Describe the found architecture in a sentence and as a table, and shorten the names of its layers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslora_core.adapted.searched_layers import ChosenLayer, FoundArchitecture, Layer

# Where a sentence has to call a mixture something; entropy is 1 for equal weights, 0 for a single one.
UNDECIDED_FROM = 0.95
DECIDED_BELOW = 0.6


# A table: its head, and rows of as many cells.
Table = list[tuple[str, ...]]


def layer_label(layer: Layer) -> str:
    """Return a short name: block, module unless it is attn.qkv, what the layer sees and, of a larger cell, the edge."""
    path, _, edge = layer.name.partition(":")
    block, module = place_of(path)
    place = f"block {block}" if module else block
    parts = [place, module if module != "attn.qkv" else "", layer.window, edge.replace("_", "→")]
    return " · ".join(part for part in parts if part)


def place_of(path: str) -> tuple[str, str]:
    """Return the number of a layer's block and the module in it, ("3", "attn.qkv"); the path and "" elsewhere.

    Where blocks are counted anew in every stage, the number is that of both: ("1.0", "attn.qkv").
    """
    parts = path.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    module = ".".join(parts[numbers[-1] + 1 :]) if numbers else ""
    return (".".join(parts[place] for place in numbers), module) if module else (path, "")


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


def found_in_words(found: FoundArchitecture, search: Mapping[str, Any]) -> str:
    """Describe an architecture of one operation a layer in one sentence.

    Args:
        found: the architecture.
        search: the section "search" of adapter.json, for the limits it was to keep; empty where it is not known.
    """
    layers, branches = len(found.layers), len(found.branches)
    have = f"{branches} of {_count(layers, 'layer')} {'has' if branches == 1 else 'have'} a branch"
    spatial = _by_module(found.spatial_branches)
    look = f"{len(found.spatial_branches)} {'is' if len(found.spatial_branches) == 1 else 'are'} spatial"
    time = f"estimated inference {found.inference:.3f} of the base's{_allowed(search.get('budget'), '.2f')}"
    trained = f"{_count(found.parameters, 'parameter')}{_allowed(search.get('max_parameters'), ',')}"
    return f"{have}; {look}{f' ({spatial})' if spatial else ''}; {time}; {trained}."


def found_table(found: FoundArchitecture) -> Table:
    """Return the branches as a table, from the first layer to the last."""
    rows = [
        (
            *place_of(layer.name),
            ", ".join(f"{name} {rank}" for name, rank in layer.ranks.items() if rank),
            layer.operation,
            layer.sees,
            f"+{100 * layer.cost:.2f} %" if layer.cost else "none",
        )
        for layer in found.branches
    ]
    return [("block", "layer", "rank", "operation", "sees", "time"), *rows]


def mixture_table(layers: Sequence[Layer]) -> Table:
    """Return the largest operation of every layer as a table, with its share."""
    rows = [(layer_label(layer), layer.strongest, f"{layer.weights[layer.strongest]:.2f}") for layer in layers]
    return [("layer", "largest operation", "share"), *rows]


def format_table(table: Table) -> str:
    """Return a table as plain text, in columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [table[0], tuple("-" * width for width in widths), *table[1:]]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _by_module(layers: Sequence[ChosenLayer]) -> str:
    """Return where layers are, by module: "blocks 1, 4: mlp.lin1; block 3: attn.qkv"."""
    blocks: dict[str, list[str]] = {}
    for layer in layers:
        block, module = place_of(layer.name)
        blocks.setdefault(module, []).append(block)
    return "; ".join(
        f"{'block' if len(numbers) == 1 else 'blocks'} {', '.join(numbers)}: {module}" if module else ", ".join(numbers)
        for module, numbers in blocks.items()
    )


def _allowed(limit: object, form: str) -> str:
    return f", {limit:{form}} allowed" if isinstance(limit, int | float) else ""


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
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
