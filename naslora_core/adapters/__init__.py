"""Adapter methods; to add one, write its file and import it here."""

from naslora_core.adapters import lora, nas_lora, nas_pc_lora
from naslora_core.adapters.base import ADAPTERS, Adapter

__all__ = ["ADAPTERS", "Adapter", "lora", "nas_lora", "nas_pc_lora"]
