"""The architecture of a search under a budget in a model: what layers chose, and the layers that are left of it."""

from collections.abc import Mapping

from naslora_core.adapters import Adapter
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.adapters.budget.layer import ChoosingLayer, FoundLayer
from naslora_core.sam.build import Sam

_ENCODER = "image_encoder."


def architecture_of(adapters: Mapping[str, Adapter]) -> dict[str, LayerChoice] | None:
    """Return what every layer has chosen or was given; None where layers mix, or are of another method.

    Args:
        adapters: by layer name, "image_encoder.blocks.0.attn.qkv".

    Returns:
        By layer name within the encoder, "blocks.0.attn.qkv".
    """
    budgeted = {n: layer for n, layer in adapters.items() if isinstance(layer, ChoosingLayer | FoundLayer)}
    choices = {n.removeprefix(_ENCODER): layer.choice for n, layer in budgeted.items() if layer.choice is not None}
    return choices if choices else None


def keep_found(sam: Sam, adapters: Mapping[str, Adapter]) -> dict[str, Adapter]:
    """Replace layers that have chosen by what is left of them, in place; those without a rank by their base layer.

    Returns:
        The adapters that are left, by layer name.
    """
    left: dict[str, Adapter] = {}
    for name, layer in adapters.items():
        if not isinstance(layer, ChoosingLayer) or layer.choice is None:
            left[name] = layer
        elif (found := layer.found()) is None:
            sam.set_submodule(name, layer.base_layer)
        else:
            sam.set_submodule(name, found)
            left[name] = found
    return left
