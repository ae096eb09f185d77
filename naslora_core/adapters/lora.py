"""Plain LoRA, the baseline."""

from torch import Tensor, nn

from naslora_core.adapters.base import METHODS, LowRankAdapter
from naslora_core.adapters.layers import in_every_layer
from naslora_core.cell import EdgeKernels
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.ops.base import identity_kernel


class LoRALayer(LowRankAdapter):
    """h = W0 x + scaling * lora_B lora_A x (arXiv:2106.09685, Eq. 3)."""

    def branch(self, z: Tensor) -> Tensor:
        """Return `z` itself."""
        return z

    def branch_kernels(self) -> EdgeKernels:
        """Return the identity, (rank, rank, 1, 1)."""
        return {(0, 1): identity_kernel(self.rank).to(self.lora_A)}


@METHODS.register("lora")
@in_every_layer
def build_lora(base_layer: nn.Linear, adapter: AdapterConfig, search: SearchConfig) -> LoRALayer:
    """Wrap a layer with LoRA; the search settings have no meaning here."""
    return LoRALayer(base_layer, adapter.rank, adapter.lora_alpha)
