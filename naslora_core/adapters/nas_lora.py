"""NAS-LoRA: LoRA with a searchable cell between its two projections; under a budget, with choices."""

from torch import Tensor, nn

from naslora_core.adapters.base import METHODS, Adapter, LowRankAdapter
from naslora_core.adapters.budget.method import build_budgeted, is_budgeted
from naslora_core.adapters.layers import in_every_layer
from naslora_core.cell import Cell, EdgeKernels, MixedOp
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.ops import resolve_space


class NASLoRALayer(LowRankAdapter):
    """h = W0 x + scaling * lora_B cell(lora_A x) (arXiv:2512.03499).

    Args:
        base_layer: the layer to adapt.
        rank: channels of the cell.
        lora_alpha: numerator of `scaling`.
        cell: maps (B, rank, H, W) to the same shape.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, lora_alpha: float, cell: Cell) -> None:
        super().__init__(base_layer, rank, lora_alpha)
        self.cell = cell

    def branch(self, z: Tensor) -> Tensor:
        """Run the cell on (B, H, W, rank); its operations see (B, rank, H, W)."""
        return self.cell(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def branch_kernels(self) -> EdgeKernels:
        """Return the cell's edges as kernels, (rank, rank, k, k)."""
        return self.cell.edge_kernels()

    def mixed_ops(self) -> dict[str, MixedOp]:
        """Return the mixtures of the cell's edges."""
        return self.cell.mixed_ops()

    def arch_parameters(self) -> list[nn.Parameter]:
        """Return the alphas of the cell, and its betas."""
        return self.cell.arch_parameters()


@METHODS.register("nas_lora")
def build_nas_lora(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Wrap every layer with NAS-LoRA: a mixture of operations, or under a budget one that each layer chooses."""
    return (build_budgeted if is_budgeted(search) else mixtures_in_every_layer)(encoder, adapter, search)


@in_every_layer
def mixtures_in_every_layer(base_layer: nn.Linear, adapter: AdapterConfig, search: SearchConfig) -> NASLoRALayer:
    """Wrap a layer with NAS-LoRA over the configured search space."""
    space = resolve_space(search.space)
    cell = Cell(search.nodes, lambda: MixedOp(adapter.rank, space))
    return NASLoRALayer(base_layer, adapter.rank, adapter.lora_alpha, cell)
