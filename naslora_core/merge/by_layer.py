"""How each layer of a model is merged, and what that is in total."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from naslora_core.config import Section

LayerMode = Literal["exact", "calibrated", "fold"]
_MODES: tuple[LayerMode, ...] = ("exact", "calibrated", "fold")
_WORDS = {"fold": "folded"}
MIXED = "mixed"


class LayerMerge(Section):
    """How one layer is merged.

    Attributes:
        layer: its name in the model.
        merge: how.
        reason: why so, in a few words.
        unexplained: of a layer that is calibrated, or could be: the share of the mean square of what the adapter adds
            to the layer's output that the fitted matrix does not give, on the images it is fitted to.
        effect: of the layer alone being calibrated: the root mean square by which logits change, over that of the
            logits, on a few training images; None where it was not asked for.
    """

    layer: str
    merge: LayerMode
    reason: str
    unexplained: float | None = None
    effect: float | None = None


def total_mode(layers: Sequence[LayerMerge]) -> str:
    """Return the merge of all layers, "exact" if there is none, or "mixed"."""
    modes = {layer.merge for layer in layers}
    return MIXED if len(modes) > 1 else next(iter(modes), "exact")


def count_modes(layers: Sequence[LayerMerge]) -> dict[str, int]:
    """Return the number of layers by merge, cheapest first, without those that no layer has."""
    counts = Counter(layer.merge for layer in layers)
    return {mode: counts[mode] for mode in _MODES if counts[mode]}


def in_words(counts: dict[str, int]) -> str:
    """Return counts such as "5 exact, 2 calibrated, 1 folded"."""
    return ", ".join(f"{count} {_WORDS.get(mode, mode)}" for mode, count in counts.items())
