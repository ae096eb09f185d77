"""The adapters of the LoRA kind: two projections, and a branch between them."""

import torch
from torch import Tensor, nn

from naslora_core.adapters.base import Adapter
from naslora_core.cell import EdgeKernels
from naslora_core.cell.kernels import as_matrix
from naslora_core.errors import MergeError


class LowRankAdapter(Adapter):
    """h = W0 x + scaling * lora_B branch(lora_A x), with W0 frozen.

    `lora_B` starts at zero, so a fresh adapter is its base layer bit for bit (LoRA, arXiv:2106.09685).

    Args:
        base_layer: the layer to adapt, (..., in_features) to (..., out_features).
        rank: channels of the branch.
        lora_alpha: numerator of `scaling` = lora_alpha / rank.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, lora_alpha: float) -> None:
        super().__init__(base_layer)
        self.rank = rank
        self.scaling = lora_alpha / rank
        self.lora_A = nn.Parameter(torch.empty(rank, base_layer.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base_layer.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        z = nn.functional.linear(x, self.lora_A)
        # Scaling the small matrix instead of the large result saves a pass over it, forward and backward.
        return self.base_layer(x) + nn.functional.linear(self.branch(z), self.lora_B * self.scaling)

    def branch(self, z: Tensor) -> Tensor:
        """Map the projected tokens, (B, H, W, rank), to the same shape."""
        raise TypeError(f"{type(self).__name__} must define branch()")

    def branch_kernels(self) -> EdgeKernels:
        """Return the branch as the kernels of a cell, each (rank, rank, k, k).

        Raises:
            MergeError: if the branch is not made of convolutions.
        """
        raise MergeError(f"{type(self).__name__} is not made of convolutions; use merge.mode calibrated")

    def delta_weight(self) -> Tensor:
        """Return the update a merge adds to the frozen weight, (out_features, in_features).

        Exactly zero right after construction.

        Raises:
            MergeError: if the branch looks at neighbouring tokens, which no weight of a linear layer can do.

        Source: arXiv:2106.09685, section 4.1.
        """
        return self.scaling * self.lora_B @ as_matrix(self.branch_kernels()) @ self.lora_A
