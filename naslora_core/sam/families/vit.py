"""The original SAM: a vision transformer with windows, from segment-anything's own modules."""

from functools import partial

import torch
from torch import nn

from naslora_core.sam.families.prompted import PromptedSam, prompted_parts
from naslora_core.sam.families.vit_attention import fuse_attention
from naslora_core.sam.families.vit_encoder import ViTEncoder
from naslora_core.sam.specs import ViTSpec


class ViTSam(PromptedSam):
    """SAM (arXiv:2304.02643)."""

    family = "sam"


def build(spec: ViTSpec) -> ViTSam:
    """Build a SAM with random weights; its state dict has upstream's keys, its attention is fused.

    Source: arXiv:2304.02643; the modules are segment-anything 1.0's.
    """
    encoder = ViTEncoder(
        img_size=spec.image_size,
        patch_size=spec.patch_size,
        embed_dim=spec.encoder_width,
        depth=spec.encoder_depth,
        num_heads=spec.encoder_heads,
        mlp_ratio=4,
        out_chans=spec.embed_channels,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=spec.use_rel_pos,
        window_size=spec.window_size,
        global_attn_indexes=spec.global_attn_indexes,
    )
    # Upstream starts the position embedding at zero, from which a short pre-training hardly leaves.
    nn.init.trunc_normal_(encoder.pos_embed, std=0.02)
    # The first layer's output decides how all tokens lie in memory; upstream's lie across the channels, and every
    # block has to reorder them.
    encoder.patch_embed.proj.to(memory_format=torch.channels_last)
    fuse_attention(encoder)
    return ViTSam(encoder, **prompted_parts(spec, spec.grid_size))
