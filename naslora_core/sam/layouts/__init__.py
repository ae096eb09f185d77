"""Layouts of checkpoints; to add one, register it in a family's file and import that file here."""

from naslora_core.sam.layouts import hugging_face, mobile_sam, official, sam2, sam3
from naslora_core.sam.layouts.layout import LAYOUTS, Converted, Layout, Size, without

__all__ = [
    "LAYOUTS",
    "Converted",
    "Layout",
    "Size",
    "hugging_face",
    "mobile_sam",
    "official",
    "sam2",
    "sam3",
    "without",
]
