"""Attention on a CPU in pieces that stay in its cache; the weights of large ones are computed again for a gradient."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Logits of a piece. More no longer lie in the cache of a core; fewer cost more in calls than they save.
PIECE = 2**20
# Where there are no more keys, as in windows, the weights are small enough to be kept for the backward pass.
KEPT_KEYS = 256


# Of every query (N, T, H) for each row of keys, and (N, T, W) for each column of them.
Bias = tuple[Tensor, Tensor]


def attend_in_pieces(q: Tensor, k: Tensor, v: Tensor, bias: Bias | None = None) -> Tensor:
    """Return softmax(q k^T + bias) v, of which no more than `PIECE` logits are in memory at once, or those of a query.

    In bfloat16 it takes a third of the time of torch's fused kernel on processors without matrix units. The softmax
    rounds to the tensors' own type whatever autocast says, and computes in float32 inside.

    Args:
        q: queries, scaled, (N, T, E).
        k: keys, (N, S, E). The channels that v has not get no gradient.
        v: values, (N, S, D) with D <= E.
        bias: where keys lie on a grid of H * W = S; that of a key is the sum of its row's and its column's.

    Returns:
        (N, T, D).

    Source: weights are computed again in the backward pass as in FlashAttention, arXiv:2205.14135, section 3.1.
    """
    with torch.autocast(q.device.type, enabled=False):
        out: Tensor = _AttendInPieces.apply(q, k, v, *(bias or ()))
    return out


class _AttendInPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, *bias: Tensor) -> Tensor:
        out, kept = q.new_empty(*q.shape[:2], v.shape[-1]), []
        keeps = any(ctx.needs_input_grad) and k.shape[1] <= KEPT_KEYS
        for rows, queries in _pieces(q, k):
            weights = _weights(q[rows, queries], k[rows], [part[rows, queries] for part in bias])
            out[rows, queries] = torch.bmm(weights, v[rows])
            kept += [weights] if keeps else []
        ctx.save_for_backward(q, k, v, *bias, *kept)
        ctx.biases = len(bias)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        q, k, v, *others = ctx.saved_tensors
        bias, kept, channels = others[: ctx.biases], others[ctx.biases :], v.shape[-1]
        d_q, d_k, d_v = torch.empty_like(q), torch.zeros_like(k), torch.empty_like(v)
        d_bias = [torch.empty_like(part) for part in bias]
        # Of the pieces of one row, in which its keys have a part each.
        sums: list[Tensor] = []
        for place, (rows, queries) in enumerate(_pieces(q, k)):
            own, d_out = q[rows, queries], gradients[0][rows, queries]
            weights = kept[place] if kept else _weights(own, k[rows], [part[rows, queries] for part in bias])
            d_weights = torch.bmm(d_out, v[rows].transpose(1, 2))
            d_logits = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            d_q[rows, queries] = torch.bmm(d_logits, k[rows])
            for part, others_axis in zip(d_bias, (3, 2), strict=False):
                grid = d_logits.unflatten(-1, (bias[0].shape[-1], bias[1].shape[-1]))
                part[rows, queries] = grid.sum(dim=others_axis)
            parts = [
                torch.bmm(d_logits.transpose(1, 2), own[..., :channels]),
                torch.bmm(weights.transpose(1, 2), d_out),
            ]
            if own.shape[1] < q.shape[1]:
                # Not in bfloat16, in which sums lose what is small.
                parts = [part.to(torch.promote_types(part.dtype, torch.float32)) for part in parts]
            sums = [total + part for total, part in zip(sums, parts, strict=True)] if queries.start else parts
            d_k[rows, :, :channels], d_v[rows] = sums
        return d_q, d_k, d_v, *d_bias


def _weights(q: Tensor, k: Tensor, bias: list[Tensor]) -> Tensor:
    if not bias:
        return torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)
    grid = bias[0].unsqueeze(-1) + bias[1].unsqueeze(-2)
    return torch.baddbmm(grid.flatten(2), q, k.transpose(1, 2)).softmax(dim=-1)


def _pieces(q: Tensor, k: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut rows and queries so that a piece has about `PIECE` logits: several rows, or some queries of one."""
    rows, queries = q.shape[:2]
    height = min(queries, max(1, PIECE // k.shape[1]))
    width = max(1, PIECE // (height * k.shape[1])) if height == queries else 1
    for row in range(0, rows, width):
        for query in range(0, queries, height):
            yield slice(row, row + width), slice(query, query + height)
