"""One choice of the search under a budget: operations that exclude each other in the end."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from naslora_core.cell.mixed_op import KernelMixer, MixedOp
from naslora_core.cell.windows import Windows
from naslora_core.ops import LinearPrimitive, Primitive
from naslora_core.ops.base import convolve, pad_kernel


class ChoiceOp(MixedOp):
    """A mixture whose shares are softmax((alphas - toll) / temperature), until `choose` leaves one operation.

    The toll is what an operation costs, times a price that all layers share. These shares minimise
    `price * expected cost - <alphas, shares> - temperature * entropy(shares)` in closed form, so that no gradient of a
    cost has to work against that of the loss, and the price that keeps a budget is found exactly.

    Linear operations are one convolution, or two where some see the whole image and others a window of it.

    Args:
        channels: of the feature maps.
        space: names of the candidate operations; those that scale the base have no part in `forward`.
        windows: of the block, for operations that see the image in spite of them; None in global blocks.

    Attributes:
        chosen: place of the operation that is left; None during the search.
    """

    def __init__(self, channels: int, space: Sequence[str], windows: Windows | None) -> None:
        super().__init__(channels, space)
        self.windows, self.chosen = windows, None if len(space) > 1 else 0
        self.register_buffer("toll", torch.zeros(len(self.space)), persistent=False)
        linear: dict[str, list[tuple[int, LinearPrimitive]]] = {"window": [], "image": []}
        self._single: list[int] = []
        for index, op in enumerate(self.candidates):
            if isinstance(op, LinearPrimitive) and not op.scales_base:
                linear["image" if self._sees_image(op) else "window"].append((index, op))
            elif not op.scales_base:
                self._single.append(index)
        self._mixers = nn.ModuleDict({sees: KernelMixer(ops) for sees, ops in linear.items() if ops})

    def set_time(self, temperature: float, pressure: float) -> None:
        """Leave temperature and prices to the search under a budget."""

    def set_price(self, temperature: float, toll: Tensor) -> None:
        """Set the temperature, and what is taken off the alphas, (len(space),)."""
        self.get_buffer("temperature").fill_(temperature)
        self.get_buffer("toll").copy_(toll)

    @property
    def candidates(self) -> list[Primitive]:
        """The operations, in the order of the space."""
        return [op for op in self.ops if isinstance(op, Primitive)]

    @property
    def op_weights(self) -> Tensor:
        """The share of every operation, (len(space),), summing to one."""
        if self.chosen is not None:
            return torch.nn.functional.one_hot(torch.tensor(self.chosen), len(self.space)).to(self.alphas)
        return ((self.alphas - self.get_buffer("toll")) / self.get_buffer("temperature")).softmax(dim=0)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; B counts windows where there are any."""
        if self.chosen is not None:
            op = self.candidates[self.chosen]
            return self._run(op, z, self._sees_image(op))
        weights = self.op_weights
        mixture = [
            self._run(partial(_convolve_with, mixer(weights)), z, sees == "image")
            for sees, mixer in self._mixers.items()
        ]
        for index in self._single:
            op = self.candidates[index]
            mixture.append(weights[index] * self._run(op, z, self._sees_image(op)))
        return sum(mixture[1:], start=mixture[0])

    @torch.no_grad()
    def choose(self, index: int) -> Tensor | None:
        """Leave one operation, which takes over as much of what the mixture computes as it can.

        Returns:
            What the mixture's convolutions computed, as one kernel (C, C, k, k); None if there are none.
        """
        weights = self.op_weights
        kernels = [mixer(weights) for mixer in self._mixers.values()]
        self.chosen = index
        if not kernels:
            return None
        side = max(kernel.shape[-1] for kernel in kernels)
        mixed = torch.stack([pad_kernel(kernel, side) for kernel in kernels]).sum(dim=0)
        if isinstance(op := self.candidates[index], LinearPrimitive) and not op.scales_base:
            op.adopt(mixed)
        return mixed

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
