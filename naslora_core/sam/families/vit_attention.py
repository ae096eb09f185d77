"""SAM's attention without a materialised bias: same weights, same results, less time and memory."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from naslora_core.sam.upstream import Attention, ImageEncoderViT, get_rel_pos

# Without cuDNN's: where a query's logits are all very negative, its backward gives NaN for some lengths, 64 tokens
# among them, an 8x8 window's (https://github.com/pytorch/pytorch/issues/196678).
_SOUND_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

# With 64 to 256 tokens the explicit form trained faster on a CPU, with 1024 the fused one; between is unmeasured.
EXPLICIT_MAX_TOKENS = 256


class FusedAttention(nn.Module):
    """Attention with decomposed relative positions through torch's fused kernels.

    Parameters have upstream's names and shapes. `qkv` may be replaced by any module that maps (B, H, W, C) to
    (B, H, W, 3C).

    Args:
        attention: upstream's module, whose layers and tables become this module's.

    Source: arXiv:2304.02643, Appendix A; decomposed relative positions are arXiv:2112.01526.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.qkv = attention.qkv
        self.proj = attention.proj
        self.use_rel_pos = attention.use_rel_pos
        if self.use_rel_pos:
            self.rel_pos_h = attention.rel_pos_h
            self.rel_pos_w = attention.rel_pos_w

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape; in a windowed block B counts windows and (H, W) is the window grid."""
        batch, height, width, channels = x.shape
        qkv = self.qkv(x).reshape(batch, height * width, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, H*W, C/heads) each
        tables = self._tables(height, width) if self.use_rel_pos else None
        if _learns_faster_explicitly(q, self.use_rel_pos):
            attended = explicit(q, k, v, tables)
        elif tables is not None:
            attended = widened(q, k, v, *tables)
        else:
            attended = fused(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(batch, height, width, channels))

    def _tables(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        return get_rel_pos(height, height, self.rel_pos_h), get_rel_pos(width, width, self.rel_pos_w)


def fuse_attention(encoder: ImageEncoderViT) -> ImageEncoderViT:
    """Replace the attention of every block, in place; the state dict keeps its keys and tensors."""
    for block in encoder.blocks:
        block.attn = FusedAttention(block.attn)
    return encoder


def widened(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Attend with the bias in additional channels of queries and keys, so that no H*W x H*W tensor is built.

    A query holds its bias for every row and every column of the grid, a key a one for its own row and its own
    column, so that their product is the bias.

    Args:
        q, k, v: (B, heads, H*W, D).
        rows: (H, H, D), the table entry of every pair of query row and key row.
        columns: (W, W, D), likewise.

    Returns:
        (B, heads, H*W, D).
    """
    batch, heads, tokens, channels = q.shape
    height, width = len(rows), len(columns)
    scale = channels**0.5
    row_bias, column_bias = _bias_terms(q, rows * scale, columns * scale)
    row_of = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    column_of = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    # Fused kernels take no V narrower than Q and K, and lose up to a third of their speed off multiples of 16.
    blank = q.new_zeros(1).expand(batch, heads, tokens, -(channels + height + width) % 16)
    wide_q = torch.cat([q, row_bias.flatten(2, 3), column_bias.flatten(2, 3), blank], dim=-1)
    wide_k = torch.cat([k, torch.cat([row_of, column_of], dim=1).expand(batch, heads, -1, -1), blank], dim=-1)
    wide_v = F.pad(v, (0, wide_k.shape[-1] - channels))
    return fused(wide_q, wide_k, wide_v, 1 / scale)[..., :channels]


def fused(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, bias: Tensor | None = None) -> Tensor:
    """Attend by one of torch's fused kernels, (B, heads, H*W, D) each.

    Args:
        q, k, v: (B, heads, H*W, D).
        scale: of the logits; 1 / sqrt(D) unless given.
        bias: added to the logits, (heads, H*W, H*W).
    """
    if not q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, bias, scale=scale)
    with sdpa_kernel(_SOUND_BACKENDS):
        return F.scaled_dot_product_attention(q, k, v, bias, scale=scale)


def explicit(q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor] | None) -> Tensor:
    """Attend by the explicit formula, with all H*W x H*W weights in memory.

    Args:
        q, k, v: (B, heads, H*W, D).
        tables: rows and columns as in `widened`, or None for attention without relative positions.

    Returns:
        (B, heads, H*W, D).
    """
    batch, heads, tokens, channels = q.shape
    scale = channels**-0.5
    q, k, v = (part.reshape(-1, tokens, channels) for part in (q, k, v))
    if tables is None:
        logits = (q * scale) @ k.transpose(1, 2)
    else:
        row_bias, column_bias = _bias_terms(q, *tables)
        bias = row_bias.contiguous()[..., :, None] + column_bias.contiguous()[..., None, :]
        logits = torch.baddbmm(bias.view(-1, tokens, tokens), q, k.transpose(1, 2), alpha=scale)
    return (logits.softmax(dim=-1).to(v.dtype) @ v).view(batch, heads, tokens, channels)


def _bias_terms(q: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bias of every query for the rows, (..., H, W, H), and the columns, (..., H, W, W)."""
    grid = q.unflatten(-2, (len(rows), len(columns)))
    return torch.einsum("...hwc,hkc->...hwk", grid, rows), torch.einsum("...hwc,wkc->...hwk", grid, columns)


def _learns_faster_explicitly(q: Tensor, use_rel_pos: bool) -> bool:
    # Forward the fused CPU kernels win everywhere; backward they lose on short sequences in bfloat16 or wide heads.
    learns = torch.is_grad_enabled() and q.requires_grad
    weak = q.dtype is torch.bfloat16 or use_rel_pos
    return learns and weak and q.device.type == "cpu" and q.shape[2] <= EXPLICIT_MAX_TOKENS
