"""One edge of the cell: a softmax mixture of operations."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from naslora_core.cell.mixing import KernelMixer
from naslora_core.errors import MergeError
from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive
from naslora_core.ops.base import convolve


class MixedOp(nn.Module):
    """sum_i softmax(alphas)_i O_i(z) (arXiv:2512.03499; the relaxation of DARTS, arXiv:1806.09055).

    The linear operations among them are one convolution with the mixed kernel, and `forward` runs that;
    only the others run one by one. So searching costs about what training one operation costs.

    `temperature` divides the alphas. `pressure` is taken off the alphas of all operations that are not
    pointwise; at infinity those are gone, and their kernels are not even computed. Both belong to the
    result, so they are saved with it.

    Args:
        channels: of the feature maps.
        space: names of the candidate operations.
    """

    def __init__(self, channels: int, space: Sequence[str]) -> None:
        super().__init__()
        self.space = tuple(space)
        self.ops = nn.ModuleList(OPS[name](channels) for name in self.space)
        self.alphas = nn.Parameter(torch.zeros(len(self.space)))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("pressure", torch.zeros(()))
        spatial = torch.tensor([not isinstance(op, PointwisePrimitive) for op in self.ops])
        self.register_buffer("_is_spatial", spatial, persistent=False)
        self._mixers = nn.ModuleDict(
            {name: KernelMixer(ops) for name in ("linear", "pointwise") if (ops := self._of_kind(name))}
        )

    @property
    def op_weights(self) -> Tensor:
        """The share of every operation, (len(space),), summing to one."""
        logits = self.alphas / self.get_buffer("temperature")
        logits = torch.where(self.get_buffer("_is_spatial"), logits - self.get_buffer("pressure"), logits)
        return logits.softmax(dim=0)

    @property
    def is_pointwise(self) -> bool:
        """Whether pressure has removed all operations that look at neighbouring tokens."""
        return self.get_buffer("pressure").item() == float("inf")

    def as_kernel(self) -> Tensor:
        """Return sum_i softmax(alphas)_i K_i, (C, C, k, k) with the k of the largest operation.

        Raises:
            MergeError: if an operation that is left is not linear and translation-invariant.
        """
        if odd := [self.space[index] for index in self._others()]:
            raise MergeError(
                f"{', '.join(odd)} in search.space cannot become a convolution; use merge.mode calibrated, "
                "or a search.space of linear operations"
            )
        return self._mixed_kernel(self.op_weights)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape by one convolution, and one run of each non-linear operation."""
        weights = self.op_weights
        mixture = [convolve(z, self._mixed_kernel(weights))] if self._mixers else []
        mixture += [weights[index] * self.ops[index](z) for index in self._others()]
        return sum(mixture[1:], start=mixture[0])

    def forward_naively(self, z: Tensor) -> Tensor:
        """Compute the same operation by operation, as the formula is written; the reference for tests."""
        return torch.stack([weight * op(z) for weight, op in zip(self.op_weights, self.ops, strict=True)]).sum(dim=0)

    def _mixed_kernel(self, weights: Tensor) -> Tensor:
        kind = "pointwise" if self.is_pointwise else "linear"
        mixed: Tensor = self._mixers[kind](weights, self._of_kind(kind))
        return mixed

    def _of_kind(self, kind: str) -> list[tuple[int, LinearPrimitive]]:
        wanted = PointwisePrimitive if kind == "pointwise" else LinearPrimitive
        return [(index, op) for index, op in enumerate(self.ops) if isinstance(op, wanted)]

    def _others(self) -> list[int]:
        if self.is_pointwise:
            return []
        return [index for index, op in enumerate(self.ops) if not isinstance(op, LinearPrimitive)]
