"""Candidate operations of the NAS cell; to add one, write it in a family's file and import that file here."""

from naslora_core.ops import convolution, depthwise, frequency, identity, multi_scale, pooling, separable, singular
from naslora_core.ops.base import OPS, LinearPrimitive, PointwisePrimitive, Primitive
from naslora_core.ops.spaces import resolve_space

__all__ = [
    "OPS",
    "LinearPrimitive",
    "PointwisePrimitive",
    "Primitive",
    "convolution",
    "depthwise",
    "frequency",
    "identity",
    "multi_scale",
    "pooling",
    "resolve_space",
    "separable",
    "singular",
]
