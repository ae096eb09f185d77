"""A base model with fresh adapters, ready to train."""

import torch

from naslora_core.adapters import ADAPTERS, Adapter
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.inject import inject
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import freeze_all_but_decoder


def add_adapters(sam: Sam, adapter: AdapterConfig, search: SearchConfig, seed: int) -> dict[str, Adapter]:
    """Freeze all but the mask decoder and put fresh adapters into the image encoder, in place.

    Returns:
        The adapters by layer name, "image_encoder.blocks.0.attn.qkv"; empty for the method "none".

    Raises:
        InjectionError: if `target_modules` match no layer.
        ConfigError: if the method or the search space is unknown.
    """
    freeze_all_but_decoder(sam)
    if adapter.method == "none":
        return {}
    torch.manual_seed(seed)
    build = ADAPTERS[adapter.method]
    found = inject(sam.image_encoder, adapter.target_modules, lambda layer: build(layer, adapter, search))
    return {f"image_encoder.{name}": layer for name, layer in found.items()}
