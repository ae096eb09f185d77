"""Adapter methods; to add one, write its file and import it here."""

from naslora_core.adapters import conv_lora, encoder_parts, lora, nas_lora, nas_pc_lora
from naslora_core.adapters.base import METHODS, Adapter, LowRankAdapter, find_method
from naslora_core.adapters.peft import method as peft_method

__all__ = [
    "METHODS",
    "Adapter",
    "LowRankAdapter",
    "conv_lora",
    "encoder_parts",
    "find_method",
    "lora",
    "nas_lora",
    "nas_pc_lora",
    "peft_method",
]
