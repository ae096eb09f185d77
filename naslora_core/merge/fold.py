"""Merge `fold`: add the cell's centre tap to the frozen weight, and keep the rest as one small convolution.

A spatial operation on tokens is no weight of a linear layer, so it cannot vanish into W0. What stays is
W_d K W_e with the mixed kernel K, without its centre tap: exact but for rounding.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslora_core.adapters import LowRankAdapter
from naslora_core.cell.kernels import EdgeKernels, run_kernels
from naslora_core.merge.exact import exact_factors
from naslora_core.merge.layers import Merged, linear_layer, low_rank_adapters, with_layers
from naslora_core.sam.build import Sam

_PREFIX = "fold_kernel_"


def fold(sam: Sam) -> Merged:
    """Return a merged copy of an adapted SAM; the original is untouched.

    A layer whose cell is pointwise becomes an ordinary linear layer again.

    Raises:
        MergeError: if a cell is not made of convolutions.
    """
    adapters = low_rank_adapters(sam, "fold")
    return Merged(with_layers(sam, {name: fold_layer(adapter) for name, adapter in adapters.items()}))


@torch.no_grad()
def fold_layer(adapter: LowRankAdapter) -> nn.Linear:
    """Return the merged layer of one adapter, computed in float64 and stored in the base layer's dtype."""
    kernels = {edge: kernel.double() for edge, kernel in adapter.branch_kernels().items()}
    if all(kernel.shape[-1] == 1 for kernel in kernels.values()):
        return linear_layer(adapter.base_layer, exact_factors(adapter).delta_weight())
    up, down = adapter.scaling * adapter.lora_B.double(), adapter.lora_A.double()
    inside = torch.zeros_like(adapter.base_layer.weight, dtype=torch.float64)
    if len(kernels) == 1:
        # With several nodes the centre of one kernel is not the centre of the cell.
        kernel = kernels[0, 1].clone()
        centre = kernel.shape[-1] // 2
        inside = up @ kernel[:, :, centre, centre] @ down
        kernel[:, :, centre, centre] = 0
        kernels = {(0, 1): kernel}
    return FoldedLinear.from_parts(linear_layer(adapter.base_layer, inside), down, kernels, up)


class FoldedLinear(nn.Linear):
    """h = W x + bias + fold_B cell(fold_A x), with the cell as one convolution for each of its edges.

    `weight` and `bias` keep upstream's names; a checkpoint has two matrices more, and a kernel for each edge.

    Args:
        in_features: channels of the input.
        out_features: channels of the output.
        rank: channels of the convolutions.
        kernel_sizes: their sides, odd, by (source node, target node).
        bias: whether the linear layer has one.
    """

    def __init__(
        self, in_features: int, out_features: int, rank: int, kernel_sizes: Mapping[tuple[int, int], int], bias: bool
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.edges = {edge: f"{_PREFIX}{edge[0]}_{edge[1]}" for edge in kernel_sizes}
        # Laid out as the products below read them: fold_B (rank, out_features), kernels (k, k, C_in, C_out).
        self.fold_A = nn.Parameter(torch.zeros(rank, in_features))
        self.fold_B = nn.Parameter(torch.zeros(rank, out_features))
        for edge, size in kernel_sizes.items():
            self.register_parameter(self.edges[edge], nn.Parameter(torch.zeros(size, size, rank, rank)))

    @classmethod
    def from_parts(cls, linear: nn.Linear, down: Tensor, kernels: EdgeKernels, up: Tensor) -> "FoldedLinear":
        """Build the layer from a linear layer, a cell given as kernels, and the projections around it.

        Args:
            linear: its weight and bias are shared.
            down: (rank, in_features).
            kernels: each (rank, rank, k, k), output channels first.
            up: (out_features, rank).
        """
        sizes = {edge: kernel.shape[-1] for edge, kernel in kernels.items()}
        layer = cls(linear.in_features, linear.out_features, len(down), sizes, linear.bias is not None)
        layer.to(linear.weight)
        layer.weight, layer.bias = linear.weight, linear.bias
        with torch.no_grad():
            layer.fold_A.copy_(down)
            layer.fold_B.copy_(up.t())
            for edge, name in layer.edges.items():
                layer.get_parameter(name).copy_(kernels[edge].permute(2, 3, 1, 0))
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        # getattr, for the sake of the few microseconds that get_parameter takes.
        kernels = {edge: getattr(self, name) for edge, name in self.edges.items()}
        cell = run_kernels(kernels, F.linear(x, self.fold_A), convolve_tokens)
        result = super().forward(x)
        # Autocast does not reach operations in place.
        result.view(-1, self.out_features).addmm_(cell.view(-1, cell.shape[-1]), self.fold_B.to(result.dtype))
        return result


def convolve_tokens(z: Tensor, kernel: Tensor) -> Tensor:
    """Convolve (B, H, W, C) with a kernel (k, k, C, C_out), zero-padded to keep H and W.

    On so few channels, gathering neighbours and one matrix product are faster than a library's convolution
    with its changes of layout.
    """
    size, channels = kernel.shape[0], z.shape[-1]
    if size == 1:
        return z @ kernel[0, 0]
    batch, height, width, _ = z.shape
    margin = size // 2
    padded = F.pad(z, (0, 0, margin, margin, margin, margin))
    image, row, token, _ = padded.stride()
    # The neighbours in one row of the kernel lie side by side in memory, channels and all.
    neighbours = padded.as_strided((batch, height, width, size, size * channels), (image, row, token, row, 1))
    gathered = neighbours.reshape(-1, size * size * channels)
    return (gathered @ kernel.reshape(-1, kernel.shape[-1])).view(batch, height, width, -1)


def folded_layers(weights: Mapping[str, Tensor]) -> dict[str, dict[tuple[int, int], int]]:
    """Return the folded layers in a state dict, with the side of each edge's kernel."""
    layers: dict[str, dict[tuple[int, int], int]] = {}
    for key, value in weights.items():
        name, found, edge = key.partition(f".{_PREFIX}")
        if found:
            source, target = edge.split("_")
            layers.setdefault(name, {})[int(source), int(target)] = len(value)
    return layers
