"""NAS-PC-LoRA: NAS-LoRA whose cell is partially connected."""

from torch import nn

from naslora_core.adapters.base import METHODS
from naslora_core.adapters.layers import in_every_layer
from naslora_core.adapters.nas_lora import NASLoRALayer
from naslora_core.cell import Cell, PartialMixedOp
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import ConfigError
from naslora_core.ops import resolve_space


@METHODS.register("nas_pc_lora")
@in_every_layer
def build_nas_pc_lora(base_layer: nn.Linear, adapter: AdapterConfig, search: SearchConfig) -> NASLoRALayer:
    """Wrap a layer with NAS-PC-LoRA: partial channels, channel shuffle and edge normalisation.

    Raises:
        ConfigError: if the rank cannot be divided by `search.partial_channel_k`.

    Source: arXiv:2512.03499; PC-DARTS, arXiv:1907.05737.
    """
    if adapter.rank % search.partial_channel_k:
        raise ConfigError(
            f"adapter.rank {adapter.rank} must be a multiple of search.partial_channel_k {search.partial_channel_k}"
        )
    space = resolve_space(search.space)
    cell = Cell(
        search.nodes,
        lambda: PartialMixedOp(adapter.rank, space, search.partial_channel_k, shuffle=search.nodes > 1),
        edge_normalisation=True,
    )
    return NASLoRALayer(base_layer, adapter.rank, adapter.lora_alpha, cell)
