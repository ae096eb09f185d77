"""NAS-LoRA: LoRA with a searchable cell between its two projections."""

from collections.abc import Sequence

from torch import Tensor, nn

from naslora_core.adapters.base import ADAPTERS, Adapter
from naslora_core.cell import MixedOp
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.ops import resolve_space


class NASLoRALayer(Adapter):
    """h = W0 x + scaling * lora_B sum_i softmax(alphas)_i O_i(lora_A x) (arXiv:2512.03499).

    Args:
        base_layer: the layer to adapt.
        rank: channels of the cell.
        lora_alpha: numerator of `scaling`.
        space: names of the candidate operations.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, lora_alpha: float, space: Sequence[str]) -> None:
        super().__init__(base_layer, rank, lora_alpha)
        self.cell = MixedOp(rank, space)

    def branch(self, z: Tensor) -> Tensor:
        """Run the cell on (B, H, W, rank); its operations see (B, rank, H, W)."""
        return self.cell(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def branch_kernel(self) -> Tensor:
        """Return the mixed kernel of the cell, (rank, rank, k, k)."""
        return self.cell.mixed_kernel()

    def arch_parameters(self) -> list[nn.Parameter]:
        """Return the alphas of the cell."""
        return [self.cell.alphas]


@ADAPTERS.register("nas_lora")
def build_nas_lora(base_layer: nn.Linear, adapter: AdapterConfig, search: SearchConfig) -> NASLoRALayer:
    """Wrap a layer with NAS-LoRA over the configured search space."""
    return NASLoRALayer(base_layer, adapter.rank, adapter.lora_alpha, resolve_space(search.space))
