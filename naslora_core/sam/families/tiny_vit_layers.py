"""TinyViT's layers with tokens on a grid, (B, H, W, C): same weights and results as timm's, which flatten them."""

from typing import Any

import torch
from torch import Tensor, nn

from naslora_core.sam.families.vit_attention import fused


class WindowAttention(nn.Module):
    """Attention in a window with a bias for every distance.

    Args:
        attention: timm's module, whose layers and biases become this module's.

    Source: arXiv:2207.10666, section 3.3; biases of distances are arXiv:2104.01136.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.num_heads, self.side = int(attention.num_heads), int(attention.resolution[0])
        self.norm = attention.norm
        self.qkv = attention.qkv
        self.proj = attention.proj
        self.attention_biases = attention.attention_biases
        self.register_buffer("attention_bias_idxs", attention.attention_bias_idxs, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map the tokens of windows, (B, side^2, C), to the same shape.

        The padding of the last windows is zero before the norm, so that `qkv` sees the norm's bias there.
        """
        grid = self.norm(x).unflatten(1, (self.side, self.side))
        by_head = self.qkv(grid).flatten(1, 2).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        q, k, v = by_head.chunk(3, dim=-1)  # (B, heads, side^2, C / heads) each
        bias = self.attention_biases[:, self.attention_bias_idxs].to(q.dtype)
        # On a CPU windows of 49 and 196 tokens take up to three times as long in the fused kernels.
        attended = fused(q, k, v, bias=bias) if q.is_cuda else _explicit(q, k, v, bias)
        attended = attended.transpose(1, 2).flatten(2)
        tokens: Tensor = self.proj(attended.unflatten(1, (self.side, self.side))).flatten(1, 2)
        return tokens


class GridMlp(nn.Module):
    """The two linear layers of a block behind their norm.

    Args:
        mlp: timm's module, whose layers become this module's.
        side: of the image's grid, in tokens.
    """

    def __init__(self, mlp: Any, side: int) -> None:
        super().__init__()
        self.side = side
        self.norm = mlp.norm
        self.fc1 = mlp.fc1
        self.act = mlp.act
        self.fc2 = mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        """Map the tokens of images, (B, side^2, C), to the same shape."""
        grid = self.norm(x).unflatten(1, (self.side, self.side))
        tokens: Tensor = self.fc2(self.act(self.fc1(grid))).flatten(1, 2)
        return tokens


class PointwiseNorm(nn.Module):
    """A convolution of single pixels as a linear layer of tokens, which can be adapted, and its batch norm.

    Args:
        pair: timm's convolution of kernel size 1 and its norm; the weight becomes a matrix (out, in).
    """

    def __init__(self, pair: Any) -> None:
        super().__init__()
        outputs, inputs = pair.conv.weight.shape[:2]
        self.linear = nn.Linear(inputs, outputs, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(pair.conv.weight.flatten(1))
        self.bn = pair.bn

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        normed: Tensor = self.bn(self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return normed


def _explicit(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    weights = logits.add_(bias).softmax(dim=-1)
    return weights.to(v.dtype) @ v
