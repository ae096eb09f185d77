"""SAM's image encoder with gradient checkpointing, which trains in less memory and more time."""

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor
from torch.utils.checkpoint import checkpoint


class ImageEncoder(ImageEncoderViT):
    """Upstream's encoder with upstream's keys, and gradient checkpointing.

    Attributes:
        gradient_checkpointing: keep only the input of each block for the backward pass and run the block again
            there: less memory for about a third more time.

    Source: arXiv:2304.02643, Appendix A; gradient checkpointing is arXiv:1604.06174.
    """

    gradient_checkpointing = False

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
