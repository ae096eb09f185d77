"""How each layer was merged, in a sentence and as rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naslora_core.report.architecture import place_of

_WORDS = {"exact": "exact", "calibrated": "calibrated", "fold": "folded"}
# More names than this say less than their number.
_MOST_NAMES = 4


@dataclass(frozen=True)
class MergedLayer:
    """A row of the table.

    Attributes:
        layer: in short, "block 3 attn.qkv".
        merge: exact, calibrated or folded.
    """

    layer: str
    merge: str
    reason: str


def merged_layers(certificate: Mapping[str, Any]) -> list[MergedLayer]:
    """Return how each layer was merged; empty for certificates of earlier versions."""
    return [
        MergedLayer(_in_short(entry["layer"]), _WORDS.get(entry["merge"], entry["merge"]), entry["reason"])
        for entry in certificate.get("layers", [])
    ]


def layers_sentence(layers: Sequence[MergedLayer]) -> str:
    """Return a sentence such as "By layer: 5 exact, 2 calibrated, 1 folded (block 3 attn.qkv)."; "" without layers."""
    parts = []
    for merge in _WORDS.values():
        names = [layer.layer for layer in layers if layer.merge == merge]
        if names:
            parts.append(f"{len(names)} {merge}")
        if merge == "folded" and 0 < len(names) <= _MOST_NAMES and len(names) < len(layers):
            parts[-1] += f" ({', '.join(names)})"
    return f"By layer: {', '.join(parts)}." if parts else ""


def _in_short(layer: str) -> str:
    block, module = place_of(layer)
    return f"block {block} {module}" if module else layer
