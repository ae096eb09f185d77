"""Add fresh adapters to a base model, ready to train."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

from naslora_core.adapters import Adapter, find_method
from naslora_core.adapters.budget.architecture import Architecture
from naslora_core.adapters.budget.method import attach_found
from naslora_core.adapters.nas_lora import NASLoRALayer
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.sam.build import Sam
from naslora_core.sam.segmenter import freeze_all_but_decoder


def add_adapters(
    sam: Sam,
    adapter: AdapterConfig,
    search: SearchConfig,
    seed: int,
    architecture: Architecture | None = None,
) -> dict[str, Adapter]:
    """Freeze all but the mask decoder and apply the method to the image encoder, in place.

    Args:
        sam: the base model.
        adapter: the method, and its settings.
        search: whether and what is searched.
        seed: of fresh weights, and of architectures that are drawn.
        architecture: found earlier under a budget, which takes the place of the method; layer names begin in the
            encoder.

    Returns:
        The fresh adapters by layer name, "image_encoder.blocks.0.attn.qkv"; empty for methods without any, which
        let parts of the encoder itself learn, or nothing.

    Raises:
        InjectionError: if `target_modules` match no layer.
        ConfigError: if the method, its options or the search space are unknown.
    """
    method = find_method(adapter.method)
    freeze_all_but_decoder(sam)
    torch.manual_seed(seed)
    if architecture is not None:
        found = attach_found(sam.image_encoder, architecture, adapter)
    else:
        found = method(sam.image_encoder, adapter, search)
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
    """Make alphas and betas trainable from zero, or freeze them at zero or at random values."""
    for parameter in dict.fromkeys(parameter for layer in adapters for parameter in layer.arch_parameters()):
        if start == "random":
            nn.init.normal_(parameter)
        parameter.requires_grad_(start == "searched")
