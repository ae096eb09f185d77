"""SAM's image encoder with gradient checkpointing, which trains in less memory and more time."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from naslora_core.geometry.token_grid import TokenGrid
from naslora_core.sam.upstream import ImageEncoderViT


class ViTEncoder(ImageEncoderViT):
    """Upstream's encoder with upstream's keys, and what `ImageEncoder` asks for.

    Attributes:
        gradient_checkpointing: keep only the input of each block for the backward pass and run the block again
            there: less memory for about a third more time.

    Source: arXiv:2304.02643, Appendix A; gradient checkpointing is arXiv:1604.06174.
    """

    gradient_checkpointing = False
    default_targets = ("attn.qkv", "mlp.lin1", "mlp.lin2")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (B, 3, S, S) to embeddings (B, C, S / P, S / P), with patches of side P."""
        return self.encode_tokens(self.patch_embed(x) + self.pos_embed)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Map patches with their positions, (B, h, w, D), to embeddings (B, C, h, w)."""
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        for block in self.blocks:
            tokens = checkpoint(block, tokens, use_reentrant=False) if recompute else block(tokens)
        embeddings: Tensor = self.neck(tokens.permute(0, 3, 1, 2))
        return embeddings

    def grid_of(self, layer: str) -> TokenGrid:
        """Return what a layer sees: attention of most blocks windows, MLPs the image."""
        block, attends, _ = layer.partition(".attn.")
        return TokenGrid(self._side(), int(self.get_submodule(block).window_size) if attends else 0)

    def multiplications(self) -> float:
        """Return the multiplications of linear layers, attention and neck for one image."""
        side = self._side()
        tokens, total = side**2, 0.0
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                total += tokens * layer.weight.numel()
            elif name.startswith("blocks.") and name.count(".") == 1:
                window = int(layer.window_size) or side
                total += 2 * tokens * window**2 * self.get_parameter(f"{name}.norm1.weight").numel()
        return total

    def _side(self) -> int:
        return int(self.img_size) // int(self.patch_embed.proj.kernel_size[0])
