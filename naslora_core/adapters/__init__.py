"""Adapter methods; to add one, write its file and import it here."""

from naslora_core.adapters import conv_lora, lora, nas_lora, nas_pc_lora, own_parts, peft_bridge
from naslora_core.adapters.base import METHODS, Adapter, find_method
from naslora_core.adapters.low_rank import LowRankAdapter

__all__ = [
    "METHODS",
    "Adapter",
    "LowRankAdapter",
    "conv_lora",
    "find_method",
    "lora",
    "nas_lora",
    "nas_pc_lora",
    "own_parts",
    "peft_bridge",
]
