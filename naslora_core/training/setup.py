"""A base model with fresh adapters, ready to train."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

from naslora_core.adapters import ADAPTERS, Adapter
from naslora_core.adapters.nas_lora import NASLoRALayer
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
    if search.share_alphas:
        _share_architecture(found.values())
    _start_architecture(found.values(), search.alphas)
    return {f"image_encoder.{name}": layer for name, layer in found.items()}


def _share_architecture(adapters: Iterable[Adapter]) -> None:
    """Give the same edge of all cells the same alphas, and all cells the same betas."""
    cells = [layer.cell for layer in adapters if isinstance(layer, NASLoRALayer)]
    for cell in cells[1:]:
        for edge, op in cell.mixed_ops().items():
            op.alphas = cells[0].mixed_ops()[edge].alphas
        cell.betas = cells[0].betas


def _start_architecture(adapters: Iterable[Adapter], start: Literal["searched", "uniform", "random"]) -> None:
    """Let alphas and betas be searched from zero, or freeze them there or at random values."""
    for parameter in dict.fromkeys(parameter for layer in adapters for parameter in layer.arch_parameters()):
        if start == "random":
            nn.init.normal_(parameter)
        parameter.requires_grad_(start == "searched")
