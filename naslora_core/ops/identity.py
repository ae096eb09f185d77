"""Pointwise operations without weights."""

import torch
from torch import Tensor

from naslora_core.ops.base import OPS, PointwisePrimitive, identity_kernel


@OPS.register("none")
class Zero(PointwisePrimitive):
    """Return zeros, DARTS' `none`, by which a search can switch a branch off (arXiv:1806.09055)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("_kernel", torch.zeros(channels, channels, 1, 1), persistent=False)

    def taps(self) -> Tensor:
        """Return zeros, (C, C, 1, 1)."""
        return self.get_buffer("_kernel")


@OPS.register("skip_connect")
class Identity(PointwisePrimitive):
    """Pass the features on; a cell of this alone is plain LoRA."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("_kernel", identity_kernel(channels), persistent=False)

    def taps(self) -> Tensor:
        """Return the identity, (C, C, 1, 1)."""
        return self.get_buffer("_kernel")
