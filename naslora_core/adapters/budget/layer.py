"""Layers of a search under a budget: one that still chooses, and what is left of it when it has chosen."""

import math

import torch
from torch import Tensor, nn

from naslora_core.adapters.base import LowRankAdapter, Update
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.cell import ChoiceOp, EdgeKernels, MixedOp
from naslora_core.geometry.windows import Windows
from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive
from naslora_core.ops.base import identity_kernel, taps_of
from naslora_core.ops.frequency import FrequencyFilter

SCALES = "singular_values"


class ChoosingLayer(LowRankAdapter):
    """h = W0 x + scaling * (mask * lora_B) sum_i O_i(lora_A x) / n: one set of weights for all choices.

    Every projection that the layer fuses, q, k and v in SAM, chooses its rank: `mask` keeps of its up-projection the
    first channels up to `caps`, weighted by the share of the possible ranks that have them, so that the first become
    the important ones (the mean of what DyLoRA, arXiv:2210.07558, samples). A rank of 0 leaves the projection as it is.

    Args:
        base_layer: the layer to adapt.
        lora_alpha: numerator of `scaling`, whose denominator stays the largest rank.
        space: the operations to choose from.
        levels: the ranks to choose from, rising, the first 0.
        sections: the projections, in the order of the output's channels.
        windows: of the layer's block; None where it sees the image.

    Attributes:
        choice: what is left; None during the search.
        gates: factors of the masks, (sections, rank), whose gradients tell what channels are worth; None is ones.
    """

    def __init__(
        self,
        base_layer: nn.Linear,
        lora_alpha: float,
        space: tuple[str, ...],
        levels: tuple[int, ...],
        sections: tuple[str, ...],
        windows: Windows | None,
    ) -> None:
        super().__init__(base_layer, levels[-1], lora_alpha)
        self.levels, self.sections = levels, sections
        self.choice: LayerChoice | None = None
        self.op = ChoiceOp(self.rank, space, windows)
        self.gates: Tensor | None = None
        self.caps = dict.fromkeys(sections, self.rank)
        below = torch.arange(self.rank) < torch.tensor(levels[1:])[:, None]
        self.register_buffer("_nested", below.float().mean(dim=0), persistent=False)
        self._scaled = next((op for op in self.op.candidates if op.scales_base), None)
        if self._scaled is not None:
            down, up = singular_vectors(base_layer, self.rank)
            self.register_buffer("base_A", down)
            self.register_buffer("base_B", up)

    def masks(self) -> Tensor:
        """Return how much of every channel each projection takes, (sections, rank), 0..1."""
        nested = self.get_buffer("_nested")
        caps = torch.tensor([self.caps[name] for name in self.sections], device=nested.device)
        kept = (torch.arange(self.rank, device=nested.device) < caps[:, None]).to(nested)
        # What was chosen has its weights in lora_A and lora_B.
        masks = kept if self.choice is not None else kept * nested
        return masks if self.gates is None else masks * self.gates

    def updates(self) -> list[Update]:
        """Return what is added to the base layer's output: the branch, and the base scaled, as far as they are left."""
        if self.choice is not None and not self.choice.rank:
            return []
        # Channels that no projection takes are left out; where the operation cannot be cut to the rest, they are zero.
        masks = self.masks()
        rank = self.rank if self.op.is_uncut else max(self.caps.values())
        rows = masks[:, :rank].repeat_interleave(self.lora_B.shape[0] // len(masks), dim=0)
        taken = torch.arange(rank, device=rows.device) < max(self.caps.values())
        updates = []
        if rank and (self.choice is None or self.choice.operation != SCALES):
            down, up = self.lora_A[:rank] * taken[:, None], self.lora_B[:, :rank] * (rows * self.scaling)
            updates.append(Update(down, self.branch, up))
        if self._scaled is not None and (self.choice is None or self.choice.operation == SCALES):
            gains = self._scaled.get_parameter("scales") - 1
            # During the search all are tried, whatever becomes of the ranks: they cost next to nothing.
            gains = gains if self.choice is None else rows * gains[:rank]
            down, up = (self.get_buffer(name) for name in ("base_A", "base_B"))
            if self.choice is not None:
                down, up = down[:rank], up[:, :rank]
            updates.append(Update(down, nn.Identity(), up * gains))
        return updates

    def branch(self, z: Tensor) -> Tensor:
        """Run the operations on (B, H, W, rank)."""
        mixed: Tensor = self.op(z.permute(0, 3, 1, 2))
        return mixed.permute(0, 2, 3, 1)

    def mixed_ops(self) -> dict[str, MixedOp]:
        """Return the choice of the operation."""
        return {"0_1": self.op}

    @torch.no_grad()
    def choose(self, choice: LayerChoice) -> None:
        """Leave one operation and one rank for every projection; the shapes of all tensors stay."""
        index = self.op.space.index(choice.operation)
        masks = self.masks()
        self.lora_A.mul_((masks > 0).any(dim=0)[:, None])
        self.lora_B.mul_(masks.repeat_interleave(self.lora_B.shape[0] // len(masks), dim=0))
        self._choose_operation(index)
        self.choice, self.caps = choice, dict(choice.ranks)

    @torch.no_grad()
    def drop_neighbours(self) -> None:
        """Leave every token alone with what it has, as `op.muted` does, for good."""
        self._choose_operation(next(place for place, op in enumerate(self.op.candidates) if _is_plain(op)))

    def _choose_operation(self, index: int) -> None:
        if self.op.chosen == index:
            return
        mixed, chosen = self.op.choose(index), self.op.candidates[index]
        if _is_plain(chosen):
            # LoRA's own down-projection can take the middle tap, whatever the pointwise operation is.
            self.lora_A.copy_(taps_of(mixed, 1)[:, :, 0, 0] @ self.lora_A)
            assert isinstance(chosen, PointwisePrimitive)
            chosen.adopt(identity_kernel(self.rank).to(mixed))

    def resume(self, choice: LayerChoice) -> None:
        """Be the layer that has chosen, of which the tensors are there already."""
        self.op.chosen = self.op.space.index(choice.operation)
        self.choice, self.caps = choice, dict(choice.ranks)

    def found(self) -> "FoundLayer | None":
        """Return the layer of the chosen operation and rank alone; None if nothing is left of it."""
        assert self.choice is not None
        if not self.choice.rank:
            return None
        layer = FoundLayer(self.base_layer, self.choice, self.scaling, self.op.windows)
        layer.take(self)
        return layer


class FoundLayer(LowRankAdapter):
    """h = W0 x + scaling * lora_B O(lora_A x), with one operation, and a rank of its own for each projection.

    Where the operation scales singular values, both projections are W0's own and frozen.

    Args:
        base_layer: the layer to adapt.
        choice: its operation and ranks, of which one is above 0.
        scaling: of the branch.
        windows: of the layer's block; None where it sees the image.
    """

    def __init__(self, base_layer: nn.Linear, choice: LayerChoice, scaling: float, windows: Windows | None) -> None:
        super().__init__(base_layer, choice.rank, scaling * choice.rank)
        self.choice = choice
        self.op = OPS[choice.operation](choice.rank)
        self.windows = windows if self.op.sees_image else None
        rows = torch.tensor(list(choice.ranks.values())).repeat_interleave(base_layer.out_features // len(choice.ranks))
        self.register_buffer("_taken", (torch.arange(choice.rank) < rows[:, None]).float(), persistent=False)
        if self.op.scales_base:
            self.scaling = 1.0
            down, up = singular_vectors(base_layer, choice.rank)
            self.lora_A.data.copy_(down)
            self.lora_B.data.copy_(up * self.get_buffer("_taken"))
            self.lora_A.requires_grad_(False)
            self.lora_B.requires_grad_(False)

    def updates(self) -> list[Update]:
        """Return what is added to the base layer's output."""
        return [Update(self.lora_A, self.branch, self.lora_B * (self.get_buffer("_taken") * self.scaling))]

    def branch(self, z: Tensor) -> Tensor:
        """Run the operation on (B, H, W, rank), of the whole image where it is meant for it."""
        if self.op.scales_base:
            return z * (self.op.get_parameter("scales") - 1)
        grid = z if self.windows is None else self.windows.join(z)
        mapped: Tensor = self.op(grid.permute(0, 3, 1, 2))
        back = mapped.permute(0, 2, 3, 1)
        return back if self.windows is None else self.windows.split(back)

    def branch_kernels(self) -> EdgeKernels:
        """Return the operation as a kernel, (rank, rank, k, k).

        Raises:
            MergeError: if it is no convolution.
        """
        if self.op.scales_base:
            return {(0, 1): (self.op.get_parameter("scales") - 1).diag()[:, :, None, None]}
        return {(0, 1): self.op.as_kernel()} if isinstance(self.op, LinearPrimitive) else super().branch_kernels()

    def branch_gains(self) -> Tensor | None:
        """Return the gains of a frequency filter, (rank, m, m); None of any other operation."""
        return self.op.gains if isinstance(self.op, FrequencyFilter) else None

    @torch.no_grad()
    def take(self, source: ChoosingLayer) -> None:
        """Take over the trained tensors of the layer that has chosen this one."""
        rank, chosen = self.rank, source.op.candidates[source.op.chosen or 0]
        for own, other in zip(self.op.parameters(), chosen.parameters(), strict=True):
            own.copy_(other[tuple(slice(side) for side in own.shape)])
        if self.op.scales_base:
            self.lora_A.copy_(source.get_buffer("base_A")[:rank])
            self.lora_B.copy_(source.get_buffer("base_B")[:, :rank] * self.get_buffer("_taken"))
        else:
            self.lora_A.copy_(source.lora_A[:rank])
            self.lora_B.copy_(source.lora_B[:, :rank] * self.get_buffer("_taken"))


def _is_plain(op: nn.Module) -> bool:
    return isinstance(op, PointwisePrimitive) and not op.scales_base


def singular_vectors(layer: nn.Linear, rank: int) -> tuple[Tensor, Tensor]:
    """Return V' (rank, in_features) and U S (out_features, rank) of the largest singular values of a layer's weight.

    The generator of random numbers is left as it was.
    """
    weight = layer.weight.detach().float()
    if rank > min(weight.shape):
        blank = rank - min(weight.shape)
        down, up = singular_vectors(layer, min(weight.shape))
        return nn.functional.pad(down, (0, 0, 0, blank)), nn.functional.pad(up, (0, blank))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        left, values, right = torch.svd_lowrank(weight, q=min(rank + 8, *weight.shape), niter=4)
    return right.t()[:rank].contiguous(), (left * values)[:, :rank].contiguous()


def rank_levels(rank: int) -> tuple[int, ...]:
    """Return the ranks to choose from: 0, the powers of two from 2 on, and `rank` itself."""
    powers = (2**power for power in range(1, int(math.log2(rank)) + 1))
    return tuple(sorted({0, rank, *powers}))
