"""A cell of linear operations as convolution kernels, one an edge."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from naslora_core.errors import MergeError
from naslora_core.ops.base import convolve

# By (source node, target node); node 0 is the input. Each (C, C, k, k), weighted by the edge's share.
EdgeKernels = Mapping[tuple[int, int], Tensor]


def run_kernels(kernels: EdgeKernels, z: Tensor, apply: Callable[[Tensor, Tensor], Tensor] = convolve) -> Tensor:
    """Run a cell given as kernels on (B, C, H, W): every node sums its edges, the result is the nodes' mean.

    With several nodes this is not one convolution: what a node has beyond the border of the grid is zero to
    the next node, where a single larger kernel would see what the first one put there.

    Args:
        kernels: as `apply` reads them.
        z: the input.
        apply: convolves feature maps with a kernel; another one may need another layout of both.
    """
    nodes = [z]
    for target in range(1, max(target for _, target in kernels) + 1):
        arriving = [apply(nodes[source], kernels[source, target]) for source in range(target)]
        nodes.append(sum(arriving[1:], start=arriving[0]))
    return sum(nodes[2:], start=nodes[1]) / (len(nodes) - 1) if len(nodes) > 2 else nodes[1]


def as_matrix(kernels: EdgeKernels) -> Tensor:
    """Return the (C, C) matrix that a cell of pointwise kernels applies to every token.

    Raises:
        MergeError: if a kernel reads neighbouring tokens, which no weight of a linear layer can do.
    """
    if sizes := {kernel.shape[-1] for kernel in kernels.values()} - {1}:
        raise MergeError(
            f"a {max(sizes)}x{max(sizes)} convolution does not fit into a linear layer's weight; use merge.mode fold "
            "or calibrated, or train with search.pointwise_pressure above 0"
        )
    channels = next(iter(kernels.values())).shape[0]
    unit = torch.eye(channels, dtype=next(iter(kernels.values())).dtype, device=next(iter(kernels.values())).device)
    return run_kernels(kernels, unit.t()[:, :, None, None])[:, :, 0, 0].t()
