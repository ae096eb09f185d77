"""The sizes of every model this project can adapt, one file a family. Imports nothing heavy."""

from naslora_core.sam.specs.base import ImageSize, ModelSpec, TrackerSpec
from naslora_core.sam.specs.mobile_sam import TinyViTSpec
from naslora_core.sam.specs.registry import MODEL_SPECS, find_spec
from naslora_core.sam.specs.sam2 import Sam2Spec
from naslora_core.sam.specs.sam3 import Sam3Spec
from naslora_core.sam.specs.vit import ViTSpec

__all__ = [
    "MODEL_SPECS",
    "ImageSize",
    "ModelSpec",
    "Sam2Spec",
    "Sam3Spec",
    "TinyViTSpec",
    "TrackerSpec",
    "ViTSpec",
    "find_spec",
]
