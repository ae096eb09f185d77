"""SAM's attention without a materialised bias: same weights, same results, less time and memory."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from naslora_core.geometry.windows import PaddedGrid, Region, Windows
from naslora_core.sam.families.chunked_attention import attend_in_pieces
from naslora_core.sam.upstream import Attention, Block, ImageEncoderViT, get_rel_pos

# Without cuDNN's: where a query's logits are all very negative, its backward gives NaN for some lengths, 64 tokens
# among them, an 8x8 window's (https://github.com/pytorch/pytorch/issues/196678).
_SOUND_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class FusedAttention(nn.Module):
    """Attention with decomposed relative positions that builds no bias, on the image's own tokens.

    Parameters have upstream's names and shapes. A windowed block's padding is zero, so that queries, keys and values
    of it need no product: behind a linear layer they are its bias. No query of it is attended for.

    `qkv` and `proj` may be replaced by any module that maps (B, H, W, C) to (B, H, W, 3C) or (B, H, W, C). In a
    windowed block, whose grid is square, it is given the windows, padding included, unless it has a method
    `on_padded_grid` in `qkv`'s place, which is given the image's tokens (B, H, W, C) and the `Windows` and returns
    what it maps them and their padding to, a `PaddedGrid`.

    Args:
        attention: upstream's module, whose layers and tables become this module's.
        window: side of the windows, in tokens; 0 where it sees the image.

    Source: arXiv:2304.02643, Appendix A; decomposed relative positions are arXiv:2112.01526.
    """

    def __init__(self, attention: Attention, window: int = 0) -> None:
        super().__init__()
        self.num_heads, self.window = attention.num_heads, window
        self.qkv = attention.qkv
        self.proj = attention.proj
        self.use_rel_pos = attention.use_rel_pos
        if self.use_rel_pos:
            self.rel_pos_h = attention.rel_pos_h
            self.rel_pos_w = attention.rel_pos_w

    def forward(self, x: Tensor) -> Tensor:
        """Map the image's tokens (B, H, W, C) to the same shape."""
        height, width = x.shape[1:3]
        if not self.window:
            attended: Tensor = self.proj(self._attend(Region(self.qkv(x), height, width), max(height, width)))
            return attended
        windows = Windows(self.window, -(-max(height, width) // self.window))
        grid = _on_padded_grid(self.qkv, x, windows)
        if type(self.proj) is nn.Linear and _likes_pieces(x):
            lines = [[self._attend(region, self.window) for region in line] for line in grid.regions(self.window)]
            return self.proj(torch.cat([torch.cat(line, dim=2) for line in lines], dim=1))
        whole = self._attend(Region(grid.whole(), self.window, self.window), self.window)
        return windows.join(self.proj(windows.split(whole)))[:, :height, :width]

    def _attend(self, region: Region, side: int) -> Tensor:
        """Attend within windows, (B, rows * side, columns * side, 3C) to (B, rows * height, columns * width, C)."""
        tokens, height, width = region
        # Not len(), which would make a number of an exported model's batch size.
        batch, rows, columns = tokens.shape[0], -(-tokens.shape[1] // side), -(-tokens.shape[2] // side)
        inner = (tokens.shape[1] // rows, tokens.shape[2] // columns)
        cut = tokens.reshape(batch, rows, inner[0], columns, inner[1], 3, self.num_heads, -1)
        # (B * rows * columns, heads, height, width, C / heads) each
        q, k, v = cut.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(1, 3)
        q = q[:, :, :height, :width]
        tables = self._tables(*inner) if self.use_rel_pos else None
        attended = attend(q, k, v, tables).view(batch, rows, columns, self.num_heads, height, width, -1)
        return attended.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, rows * height, columns * width, -1)

    def _tables(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        return get_rel_pos(height, height, self.rel_pos_h), get_rel_pos(width, width, self.rel_pos_w)


class WindowedBlock(nn.Module):
    """Upstream's block, whose attention takes the image's tokens and cuts the windows itself.

    Args:
        block: upstream's module, whose layers become this module's.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.window_size = block.window_size
        self.norm1 = block.norm1
        self.attn = FusedAttention(block.attn, block.window_size)
        self.norm2 = block.norm2
        self.mlp = block.mlp

    def forward(self, x: Tensor) -> Tensor:
        """Map the image's tokens (B, H, W, C) to the same shape."""
        x = x + self.attn(self.norm1(x))
        grown: Tensor = x + self.mlp(self.norm2(x))
        return grown


def fuse_attention(encoder: ImageEncoderViT) -> ImageEncoderViT:
    """Replace the attention of every block, in place; the state dict keeps its keys and tensors."""
    encoder.blocks = nn.ModuleList(WindowedBlock(block) for block in encoder.blocks)
    return encoder


def attend(q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor] | None) -> Tensor:
    """Attend to all keys of a grid, by what is fastest where the tensors are.

    Args:
        q: (N, heads, h, w, D), of the first rows and columns of the grid.
        k, v: (N, heads, H, W, D).
        tables: (H, H, D) and (W, W, D), the entries of every pair of query row and key row, and of columns; None for
            attention without relative positions.

    Returns:
        (N, heads, h * w, D).
    """
    scale = q.shape[-1] ** -0.5
    # Without relative positions, and so without wider queries, torch's kernel is as fast in float32.
    by_hand = _likes_pieces(q) and (tables is not None or q.dtype is torch.bfloat16)
    v, channels = v.flatten(2, 3), v.shape[-1]
    if tables is None:
        q, k = q.flatten(2, 3), k.flatten(2, 3)
        return _by_hand(q * scale, k, v) if by_hand else fused(q, k, v, scale)
    bias = bias_terms(q, *tables)
    if by_hand and sum(k.shape[2:4]) > 2 * channels:
        # More channels than that for the bias would cost more than adding it to every logit, which at 1024 px takes a
        # third of the time of vit_b.
        return _by_hand(q.flatten(2, 3) * scale, k.flatten(2, 3), v, *(part.flatten(2, 3) for part in bias))
    wide_q, wide_k = widen(q * scale, k, *bias)
    if by_hand:
        return _by_hand(wide_q, wide_k, v)
    # Fused kernels take no V narrower than Q and K, and lose up to a third of their speed off multiples of 16.
    wide_q, wide_k = (F.pad(part, (0, -part.shape[-1] % 16)) for part in (wide_q, wide_k))
    return fused(wide_q, wide_k, F.pad(v, (0, wide_k.shape[-1] - channels)), 1.0)[..., :channels]


def bias_terms(q: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bias of every query (N, heads, h, w, D) for the rows, (..., h, w, H), and the columns, (..., h, w, W).

    Args:
        q: queries, not scaled.
        rows, columns: tables as in `attend`.
    """
    height, width = q.shape[2:4]
    row_bias = torch.einsum("nmhwc,hkc->nmhwk", q, rows[:height])
    return row_bias, torch.einsum("nmhwc,wkc->nmhwk", q, columns[:width])


def widen(q: Tensor, k: Tensor, row_bias: Tensor, column_bias: Tensor) -> tuple[Tensor, Tensor]:
    """Put the bias into additional channels of queries and keys, so that no tensor of all pairs is built.

    A query holds its bias for every row and every column of the grid, a key a one for its own row and its own
    column, so that their product is the bias.

    Args:
        q: (N, heads, h, w, D).
        k: (N, heads, H, W, D).
        row_bias: (N, heads, h, w, H).
        column_bias: (N, heads, h, w, W).

    Returns:
        (N, heads, h * w, D + H + W) and (N, heads, H * W, D + H + W).
    """
    height, width = k.shape[2:4]
    row_of = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    column_of = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    place = torch.cat([row_of, column_of], dim=1).expand(*k.shape[:2], -1, -1)
    wide_q = torch.cat([part.flatten(2, 3) for part in (q, row_bias, column_bias)], dim=-1)
    return wide_q, torch.cat([k.flatten(2, 3), place], dim=-1)


def fused(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, bias: Tensor | None = None) -> Tensor:
    """Attend by one of torch's fused kernels.

    Args:
        q: (B, heads, T, D).
        k, v: (B, heads, S, D).
        scale: of the logits; 1 / sqrt(D) unless given.
        bias: added to the logits, (heads, T, S).
    """
    if not q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, bias, scale=scale)
    with sdpa_kernel(_SOUND_BACKENDS):
        return F.scaled_dot_product_attention(q, k, v, bias, scale=scale)


def _by_hand(q: Tensor, k: Tensor, v: Tensor, *bias: Tensor) -> Tensor:
    own_q, own_k, own_v, *own = (part.flatten(0, 1) for part in (q, k, v, *bias))
    return attend_in_pieces(own_q, own_k, own_v, (own[0], own[1]) if own else None).unflatten(0, q.shape[:2])


def _on_padded_grid(layer: nn.Module, x: Tensor, windows: Windows) -> PaddedGrid:
    """Run a layer that sees windows on the image's tokens (B, H, W, C)."""
    (batch, height, width), whole = x.shape[:3], windows.side * windows.across
    # Whoever looks at what goes through a layer is shown windows, as its operations see them.
    is_watched = layer._forward_pre_hooks or layer._forward_hooks
    if type(layer) is nn.Linear and not is_watched:
        inside = layer(x)
        fill = inside.new_zeros(1) if layer.bias is None else layer.bias.to(inside.dtype)
        right = fill.expand(batch, height, whole - width, layer.out_features)
        return PaddedGrid(inside, right, fill.expand(batch, whole - height, whole, layer.out_features))
    on_padded_grid: Callable[[Tensor, Windows], PaddedGrid] | None = getattr(layer, "on_padded_grid", None)
    if on_padded_grid is None or is_watched:
        return PaddedGrid.of(windows.join(layer(windows.split(windows.pad(x)))), height, width)
    return on_padded_grid(x, windows)


def _likes_pieces(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
