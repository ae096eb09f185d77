"""The cell: a small graph whose edges mix operations."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from naslora_core.cell.kernels import EdgeKernels
from naslora_core.cell.mixed_op import MixedOp
from naslora_core.cell.partial import PartialMixedOp

Edge = MixedOp | PartialMixedOp


class Cell(nn.Module):
    """Node 0 is the input; every later node is a weighted mean of edges from all nodes before it.

    The result is the mean of the later nodes, so that the cell keeps its channels; DARTS (arXiv:1806.09055)
    sums and concatenates. With one node this is sum_i softmax(alphas)_i O_i(z), the formula of
    arXiv:2512.03499.

    Args:
        nodes: how many there are beside the input.
        make_edge: builds one edge.
        edge_normalisation: learn the edges' shares, softmax(betas) over those that arrive at a node
            (PC-DARTS, arXiv:1907.05737, Eq. 3); else all are equal.
    """

    def __init__(self, nodes: int, make_edge: Callable[[], Edge], edge_normalisation: bool = False) -> None:
        super().__init__()
        self.nodes = nodes
        pairs = [(source, target) for target in range(1, nodes + 1) for source in range(target)]
        self.edges = nn.ModuleDict({f"{source}_{target}": make_edge() for source, target in pairs})
        # The only edge into node 1 has nothing to share.
        self.betas = nn.ParameterList(torch.zeros(t) for t in range(2, nodes + 1) if edge_normalisation)

    def edge_weights(self, target: int) -> Tensor:
        """Return the shares of the edges into node `target` from nodes 0..target-1, (target,), summing to one."""
        if target == 1 or not self.betas:
            return torch.full((target,), 1 / target, device=next(self.parameters()).device)
        return self.betas[target - 2].softmax(dim=0)

    def mixed_ops(self) -> dict[str, MixedOp]:
        """Return the mixture of operations of every edge, by "source_target"."""
        return {
            name: edge.mixed_op if isinstance(edge, PartialMixedOp) else edge
            for name, edge in self.edges.items()
            if isinstance(edge, Edge)
        }

    def arch_parameters(self) -> list[nn.Parameter]:
        """Return the alphas of all edges, and the betas where there are any."""
        return [edge.alphas for edge in self.mixed_ops().values()] + list(self.betas)

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if self.nodes == 1:
            result: Tensor = self.edges["0_1"](z)
            return result
        nodes = [z]
        for target in range(1, self.nodes + 1):
            weights = self.edge_weights(target)
            arriving = [weights[source] * self.edges[f"{source}_{target}"](nodes[source]) for source in range(target)]
            nodes.append(torch.stack(arriving).sum(dim=0))
        return torch.stack(nodes[1:]).mean(dim=0)

    def edge_kernels(self) -> EdgeKernels:
        """Return every edge as one kernel, times its share.

        Raises:
            MergeError: if an operation that is left is not linear and translation-invariant.
        """
        kernels = {}
        for target in range(1, self.nodes + 1):
            weights = self.edge_weights(target)
            for source in range(target):
                edge = self.edges[f"{source}_{target}"]
                assert isinstance(edge, Edge)
                kernels[source, target] = weights[source] * edge.as_kernel()
        return kernels
