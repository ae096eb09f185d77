"""One edge of the cell: a softmax mixture of operations."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from naslora_core.errors import MergeError
from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive
from naslora_core.ops.base import convolve


class MixedOp(nn.Module):
    """sum_i softmax(alphas)_i O_i(z) (arXiv:2512.03499; the relaxation of DARTS, arXiv:1806.09055).

    The linear operations among them are one convolution with the mixed kernel, and `forward` runs that;
    only the others run one by one. So searching costs about what training one operation costs.

    `temperature` divides the alphas. `pressure` is taken off the alphas of all operations that are not
    pointwise; at infinity those are gone, and their kernels are not even computed. Both belong to the
    result, so they are saved with it; `set_time` changes them.

    Args:
        channels: of the feature maps.
        space: names of the candidate operations.

    Attributes:
        is_pointwise: whether pressure has removed all operations that read neighbouring tokens.
    """

    def __init__(self, channels: int, space: Sequence[str]) -> None:
        super().__init__()
        self.channels, self.space = channels, tuple(space)
        self.ops = nn.ModuleList(OPS[name](channels) for name in self.space)
        self.alphas = nn.Parameter(torch.zeros(len(self.space)))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("pressure", torch.zeros(()))
        self.is_pointwise = False
        self.register_load_state_dict_post_hook(_note_loaded_pressure)
        linear = [(index, op) for index, op in enumerate(self.ops) if isinstance(op, LinearPrimitive)]
        pointwise = [(index, op) for index, op in linear if isinstance(op, PointwisePrimitive)]
        self._linear = KernelMixer(linear) if linear else None
        self._pointwise = KernelMixer(pointwise) if pointwise else None
        self._non_linear = [index for index, op in enumerate(self.ops) if not isinstance(op, LinearPrimitive)]
        is_spatial = torch.tensor([not isinstance(op, PointwisePrimitive) for op in self.ops])
        self.register_buffer("_is_spatial", is_spatial, persistent=False)

    def set_time(self, temperature: float, pressure: float) -> None:
        """Set temperature and pressure for an epoch; an infinite pressure leaves a pointwise mixture."""
        self.get_buffer("temperature").fill_(temperature)
        self.get_buffer("pressure").fill_(pressure)
        # A bool beside the buffer: asking the buffer would make an accelerator wait, in every layer and step.
        self.is_pointwise = math.isinf(pressure)

    @property
    def op_weights(self) -> Tensor:
        """The share of every operation, (len(space),), summing to one."""
        logits = self.alphas / self.get_buffer("temperature")
        logits = torch.where(self.get_buffer("_is_spatial"), logits - self.get_buffer("pressure"), logits)
        return logits.softmax(dim=0)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape by one convolution, and one run of each non-linear operation."""
        weights = self.op_weights
        if self.is_pointwise:
            return convolve(z, self._mixed_kernel(weights))
        mixture = [] if self._linear is None else [convolve(z, self._mixed_kernel(weights))]
        mixture += [weights[index] * self.ops[index](z) for index in self._non_linear]
        return sum(mixture[1:], start=mixture[0])

    def as_kernel(self) -> Tensor:
        """Return sum_i softmax(alphas)_i K_i, (C, C, k, k) with the k of the largest operation.

        Raises:
            MergeError: if an operation that is left is not linear and translation-invariant.
        """
        if self._non_linear and not self.is_pointwise:
            raise MergeError(
                f"{', '.join(self.space[index] for index in self._non_linear)} in search.space cannot become a "
                "convolution; use merge.mode calibrated, or a search.space of linear operations"
            )
        return self._mixed_kernel(self.op_weights)

    def _mixed_kernel(self, weights: Tensor) -> Tensor:
        mixer = self._pointwise if self.is_pointwise else self._linear
        assert mixer is not None
        mixed: Tensor = mixer(weights)
        return mixed


class KernelMixer(nn.Module):
    """Return sum_i weights_i K_i as one kernel.

    It runs in every layer and every step, on kernels so tiny that the number of calls is what costs. So no
    kernel is padded: all taps are added to their places in the sum at once.

    Args:
        ops: linear operations of a search space by their index in it; at least one.
    """

    def __init__(self, ops: Sequence[tuple[int, LinearPrimitive]]) -> None:
        super().__init__()
        # In a tuple they stay the parameters of the mixture alone.
        self._ops = tuple(op for _, op in ops)
        shapes = [op.taps().shape for op in self._ops]
        reaches = [op.dilation * (shape[-1] - 1) + 1 for op, shape in zip(self._ops, shapes, strict=True)]
        side = max(reaches)
        self.shape = (*shapes[0][:2], side, side)
        numbers = torch.arange(torch.Size(self.shape).numel()).view(self.shape)
        places, owners = [], []
        for (index, op), shape, reach in zip(ops, shapes, reaches, strict=True):
            first = (side - reach) // 2
            inside = slice(first, first + reach, op.dilation)
            places.append(numbers[..., inside, inside].reshape(-1))
            owners.append(torch.full((shape.numel(),), index))
        self.register_buffer("_places", torch.cat(places), persistent=False)
        self.register_buffer("_owners", torch.cat(owners), persistent=False)

    def forward(self, weights: Tensor) -> Tensor:
        """Return the mixed kernel, (C, C, k, k) with the k of the largest operation.

        Args:
            weights: of all operations of the space, (len(space),).
        """
        taps = torch.cat([op.taps().reshape(-1) for op in self._ops])
        weighted = taps * weights.index_select(0, self.get_buffer("_owners"))
        mixed = weighted.new_zeros(self.shape).view(-1)
        return mixed.index_add(0, self.get_buffer("_places"), weighted).view(self.shape)


def _note_loaded_pressure(mixture: nn.Module, incompatible_keys: object) -> None:
    assert isinstance(mixture, MixedOp)
    mixture.is_pointwise = bool(mixture.get_buffer("pressure").isinf())
