"""Candidate operations of the NAS cell; to add one, write it in a family's file and import that file here."""

from naslora_core.ops import convolution, identity, pooling
from naslora_core.ops.base import OPS, Primitive
from naslora_core.ops.spaces import resolve_space

__all__ = ["OPS", "Primitive", "convolution", "identity", "pooling", "resolve_space"]
