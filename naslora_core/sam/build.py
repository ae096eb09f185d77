"""Build a SAM of any size from segment-anything's own modules."""

from functools import partial

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from naslora_core.sam.attention import fuse_attention
from naslora_core.sam.image_encoder import ImageEncoder
from naslora_core.sam.specs import ModelSpec, find_spec

__all__ = ["Sam", "build_sam", "normalise"]


def build_sam(name: str, image_size: int | None = None) -> Sam:
    """Build a SAM with random weights; its state dict has upstream's keys, its attention is fused.

    Args:
        name: a key of `MODEL_SPECS`.
        image_size: side of the square input in pixels; None is what the model was trained with.

    Raises:
        ConfigError: if there is no model of that name, or the image size does not divide into patches.

    Source: arXiv:2304.02643; the modules are segment-anything 1.0's.
    """
    spec = find_spec(name, "native" if image_size is None else image_size)
    return Sam(
        image_encoder=_image_encoder(spec),
        prompt_encoder=PromptEncoder(
            embed_dim=spec.embed_channels,
            image_embedding_size=(spec.grid_size, spec.grid_size),
            input_image_size=(spec.image_size, spec.image_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2,
                embedding_dim=spec.embed_channels,
                mlp_dim=spec.decoder_mlp_dim,
                num_heads=spec.decoder_heads,
            ),
            transformer_dim=spec.embed_channels,
            iou_head_depth=3,
            iou_head_hidden_dim=spec.iou_head_hidden_dim,
        ),
    ).eval()


def _image_encoder(spec: ModelSpec) -> ImageEncoder:
    encoder = ImageEncoder(
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
    return encoder


def normalise(sam: Sam, images: torch.Tensor) -> torch.Tensor:
    """Return images as SAM's encoder expects them.

    Args:
        images: (B, 3, H, W), RGB in 0..255, any dtype.

    Returns:
        (B, 3, H, W) float32, zero mean and unit variance by SAM's constants.
    """
    return (images.float() - sam.pixel_mean) / sam.pixel_std
