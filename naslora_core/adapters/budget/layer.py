"""Layers of a search under a budget: one that still chooses, and what is left of it when it has chosen."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from naslora_core.adapters.base import LowRankAdapter
from naslora_core.adapters.budget.architecture import LayerChoice
from naslora_core.cell import ChoiceOp, EdgeKernels, MixedOp, Windows
from naslora_core.ops import OPS, LinearPrimitive, PointwisePrimitive
from naslora_core.ops.base import identity_kernel, taps_of
from naslora_core.ops.frequency import FrequencyFilter

# What a fresh search gives the largest rank before all others, so that it begins as the whole adapter.
_HEAD_START = 2.0


class ChoosingLayer(LowRankAdapter):
    """h = W0 x + scaling * (mask * lora_B) sum_i share_i O_i(lora_A x): one set of weights for all choices.

    Every projection that the layer fuses, q, k and v in SAM, chooses its rank: `mask` keeps of its up-projection the
    first channels, each by the chance that the rank is above it (nested ranks: DyLoRA, arXiv:2210.07558). A rank of 0
    leaves the projection as it is.

    Args:
        base_layer: the layer to adapt.
        lora_alpha: numerator of `scaling`, whose denominator stays the largest rank.
        space: the operations to choose from.
        levels: the ranks to choose from, rising, the first 0.
        sections: the projections, in the order of the output's channels.
        windows: of the layer's block; None where it sees the image.

    Attributes:
        choice: what is left; None during the search.
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
        self.rank_alphas = nn.Parameter(torch.zeros(len(sections), len(levels)))
        self.rank_alphas.data[:, -1] = _HEAD_START
        below = torch.arange(self.rank) < torch.tensor(levels)[:, None]
        self.register_buffer("_below", below.float(), persistent=False)
        self.register_buffer("rank_toll", torch.zeros(len(sections), len(levels)), persistent=False)
        self._scaled = next((op for op in self.op.candidates if op.scales_base), None)
        if self._scaled is not None:
            down, up = singular_vectors(base_layer, self.rank)
            self.register_buffer("base_A", down)
            self.register_buffer("base_B", up)

    @property
    def rank_shares(self) -> Tensor:
        """The share of every rank by projection, (sections, levels), each row summing to one."""
        if self.choice is not None:
            places = [self.levels.index(self.choice.ranks[name]) for name in self.sections]
            return nn.functional.one_hot(torch.tensor(places), len(self.levels)).to(self.rank_alphas)
        temperature = self.op.get_buffer("temperature")
        return ((self.rank_alphas - self.get_buffer("rank_toll")) / temperature).softmax(dim=1)

    def masks(self) -> Tensor:
        """Return how much of every channel each projection takes, (sections, rank), falling from 0..1 to 0..1."""
        return self.rank_shares @ self.get_buffer("_below")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        if self.choice is not None and not self.choice.rank:
            result: Tensor = self.base_layer(x)
            return result
        masks = self.masks()
        rows = masks.repeat_interleave(self.lora_B.shape[0] // len(masks), dim=0)
        # A channel that no projection takes has no part in the operation either.
        taken = 1 - (1 - masks).prod(dim=0)
        downs, ups = [], []
        if self._scaled is None or self.op.chosen is None or not self.op.candidates[self.op.chosen].scales_base:
            z = linear(x, self.lora_A * taken[:, None])
            downs.append(self.branch(z))
            ups.append(self.lora_B * (rows * self.scaling))
        if self._scaled is not None and (self.op.chosen is None or self.op.candidates[self.op.chosen].scales_base):
            downs.append(linear(x, self.get_buffer("base_A")))
            ups.append(self.get_buffer("base_B") * (rows * self._gains()))
        return self.base_layer(x) + sum(linear(down, up) for down, up in zip(downs, ups, strict=True))

    def _gains(self) -> Tensor:
        """Return what the singular values gain, times the share of scaling them, (rank,)."""
        assert self._scaled is not None
        place = self.op.candidates.index(self._scaled)
        return (self._scaled.get_parameter("scales") - 1) * self.op.op_weights[place]

    def branch(self, z: Tensor) -> Tensor:
        """Run the operations on (B, H, W, rank)."""
        mixed: Tensor = self.op(z.permute(0, 3, 1, 2))
        return mixed.permute(0, 2, 3, 1)

    def mixed_ops(self) -> dict[str, MixedOp]:
        """Return the choice of the operation."""
        return {"0_1": self.op}

    def arch_parameters(self) -> list[nn.Parameter]:
        """Return the alphas of operation and ranks."""
        return [self.op.alphas, self.rank_alphas]

    @torch.no_grad()
    def choose(self, choice: LayerChoice) -> None:
        """Leave one operation and one rank for every projection; the shapes of all tensors stay."""
        index = self.op.space.index(choice.operation)
        masks = self.masks()
        self.lora_A.mul_((1 - (1 - masks).prod(dim=0))[:, None])
        self.lora_B.mul_(masks.repeat_interleave(self.lora_B.shape[0] // len(masks), dim=0))
        gains = self._gains() if self._scaled is not None else None
        mixed = self.op.choose(index)
        chosen = self.op.candidates[index]
        if mixed is not None and isinstance(chosen, PointwisePrimitive) and not chosen.scales_base:
            # LoRA's own down-projection can take the middle tap, whatever the pointwise operation is.
            self.lora_A.copy_(taps_of(mixed, 1)[:, :, 0, 0] @ self.lora_A)
            chosen.adopt(identity_kernel(self.rank).to(mixed))
        if chosen.scales_base and gains is not None:
            chosen.get_parameter("scales").copy_(1 + gains)
        self.choice = choice

    def resume(self, choice: LayerChoice) -> None:
        """Be the layer that has chosen, of which the tensors are there already."""
        self.op.chosen = self.op.space.index(choice.operation)
        self.choice = choice

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

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        up = self.lora_B * (self.get_buffer("_taken") * self.scaling)
        return self.base_layer(x) + linear(self.branch(linear(x, self.lora_A)), up)

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
