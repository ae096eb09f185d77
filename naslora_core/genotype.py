"""The architecture a search has found, for people and other programs to read."""

from collections.abc import Mapping
from typing import Any

from naslora_core.adapters import Adapter
from naslora_core.adapters.nas_lora import NASLoRALayer
from naslora_core.sam.build import Sam


def describe_architecture(sam: Sam, adapters: Mapping[str, Adapter]) -> dict[str, Any]:
    """Return the operations' shares of every searched layer and the one that leads.

    Args:
        sam: the model the adapters sit in.
        adapters: by layer name, "image_encoder.blocks.0.attn.qkv".

    Returns:
        {"space": [primitive, ...], "layers": [{"layer", "window", "weights": {primitive: share}, "argmax"}]};
        window is "8x8" or "image": what the layer's operations can see. Without a search both lists
        are empty.
    """
    searched = {name: layer for name, layer in adapters.items() if isinstance(layer, NASLoRALayer)}
    layers: list[dict[str, Any]] = []
    for name, layer in searched.items():
        weights: dict[str, float] = dict(zip(layer.cell.space, layer.cell.op_weights.tolist(), strict=True))
        layers.append(
            {
                "layer": name,
                "window": _window(sam, name),
                "weights": {primitive: round(weight, 6) for primitive, weight in weights.items()},
                "argmax": max(weights, key=weights.__getitem__),
            }
        )
    space = next(iter(searched.values())).cell.space if searched else ()
    return {"space": list(space), "layers": layers}


def _window(sam: Sam, layer_name: str) -> str:
    block = sam.get_submodule(layer_name.rpartition(".attn.")[0])
    window = getattr(block, "window_size", 0)
    return f"{window}x{window}" if window else "image"
