"""One choice of the search under a budget: operations that exclude each other in the end."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from naslora_core.cell.mixed_op import KernelMixer, MixedOp
from naslora_core.geometry.windows import Windows
from naslora_core.ops import LinearPrimitive, Primitive
from naslora_core.ops.base import convolve, identity_kernel, pad_kernel, taps_of
from naslora_core.ops.identity import Identity


class ChoiceOp(MixedOp):
    """All operations in equal shares, until `choose` leaves one of them.

    Nothing is gained by training shares: a mixture of convolutions is one kernel, whose taps are trained anyway. What
    an operation is worth is measured instead, by doing without it (`muted`, `choose`).

    Linear operations are one convolution, or two where some see the whole image and others a window of it.

    Args:
        channels: of the feature maps.
        space: names of the candidate operations; those that scale the base have no part in `forward`.
        windows: of the block, for operations that see the image in spite of them; None in global blocks.

    Attributes:
        chosen: place of the operation that is left; None during the search.
        muted: let every token alone with what it has: do without the neighbours, to see what they are worth.
    """

    def __init__(self, channels: int, space: Sequence[str], windows: Windows | None) -> None:
        super().__init__(channels, space)
        self.windows, self.muted = windows, False
        self.chosen = None if len(space) > 1 else 0
        self.alphas.requires_grad_(False)
        linear: dict[str, list[tuple[int, LinearPrimitive]]] = {"window": [], "image": []}
        self._single: list[int] = []
        for index, op in enumerate(self.candidates):
            if isinstance(op, LinearPrimitive) and not op.scales_base:
                linear["image" if self._sees_image(op) else "window"].append((index, op))
            elif not op.scales_base:
                self._single.append(index)
        self._mixers = nn.ModuleDict({sees: KernelMixer(ops) for sees, ops in linear.items() if ops})
        mixed = torch.tensor([not op.scales_base for op in self.candidates])
        self.register_buffer("_shares", mixed / max(1, int(mixed.sum())), persistent=False)

    def set_time(self, temperature: float, pressure: float) -> None:
        """Do nothing: equal shares have no temperature, and a budget needs no pressure."""

    @property
    def candidates(self) -> list[Primitive]:
        """The operations, in the order of the space."""
        return [op for op in self.ops if isinstance(op, Primitive)]

    @property
    def op_weights(self) -> Tensor:
        """The share of every operation, (len(space),); those that scale the base have none during the search."""
        if self.chosen is not None:
            return nn.functional.one_hot(torch.tensor(self.chosen), len(self.space)).to(self.alphas)
        return self.get_buffer("_shares")

    @property
    def is_uncut(self) -> bool:
        """Whether it takes part in `forward` as an operation that cannot run on the first channels alone."""
        places = self._single if self.chosen is None else [self.chosen]
        return any(not isinstance(self.candidates[place], LinearPrimitive) for place in places)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; B counts windows where there are any.

        Of linear operations the first channels may be run alone, as if all others were zero.
        """
        channels = z.shape[1]
        if self.chosen is not None:
            op = self.candidates[self.chosen]
            if isinstance(op, Identity):
                return z
            run: Callable[[Tensor], Tensor] = op
            if isinstance(op, LinearPrimitive):
                run = partial(_convolve_with, op.as_kernel()[:channels, :channels])
            return self._run(run, z, self._sees_image(op))
        if self.muted:
            return convolve(z, taps_of(self._kernel(), 1)[:channels, :channels])
        weights = self.op_weights
        mixture = [
            self._run(partial(_convolve_with, mixer(weights)[:channels, :channels]), z, sees == "image")
            for sees, mixer in self._mixers.items()
        ]
        for index in self._single:
            op = self.candidates[index]
            mixture.append(weights[index] * self._run(op, z, self._sees_image(op)))
        return sum(mixture[1:], start=mixture[0])

    @torch.no_grad()
    def choose(self, index: int) -> Tensor:
        """Leave one operation, which takes over as much of what the mixture computes as it can.

        Returns:
            What the mixture computed, as one kernel (C, C, k, k): operations that are no convolution as the identity,
            near which they are.
        """
        mixed = self._kernel()
        self.chosen = index
        if isinstance(op := self.candidates[index], LinearPrimitive) and not op.scales_base:
            op.adopt(mixed)
        return mixed

    def _kernel(self) -> Tensor:
        weights = self.op_weights
        kernels = [mixer(weights) for mixer in self._mixers.values()]
        kernels += [weights[index] * identity_kernel(self.channels).to(weights) for index in self._single]
        kernels += [] if kernels else [identity_kernel(self.channels).to(weights)]
        side = max(kernel.shape[-1] for kernel in kernels)
        return torch.stack([pad_kernel(kernel, side) for kernel in kernels]).sum(dim=0)

    def _sees_image(self, op: Primitive) -> bool:
        return op.sees_image and self.windows is not None

    def _run(self, op: Callable[[Tensor], Tensor], z: Tensor, on_image: bool) -> Tensor:
        if not on_image:
            return op(z)
        assert self.windows is not None
        joined = op(self.windows.join(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return self.windows.split(joined.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _convolve_with(kernel: Tensor, x: Tensor) -> Tensor:
    return convolve(x, kernel)
