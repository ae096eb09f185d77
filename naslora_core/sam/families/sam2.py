"""SAM 2 and SAM 2.1 for images: Hiera, a feature pyramid, and a mask decoder that takes its finer levels."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from naslora_core.geometry.token_grid import TokenGrid
from naslora_core.sam.families.tracker import (
    NoPositions,
    TrackerSam,
    build_model,
    count_multiplications,
    require_transformers,
    tracker_configs,
)
from naslora_core.sam.specs import Sam2Spec

# The first stage's tokens, and the embeddings' places, in pixels.
_TOKEN, _PATCH = 4, 16


class Sam2(TrackerSam):
    """SAM 2 without its memory of videos (arXiv:2408.00714)."""

    family = "sam2"


class HieraEncoder(nn.Module):
    """transformers' Hiera and feature pyramid, and what `ImageEncoder` asks for.

    A block's attention sees windows of its stage, cut row by row and padded with zeros. The first block of a later
    stage still sees its predecessor's tokens and windows, and pools the queries: its output has half the side.

    Args:
        vision: transformers' `Sam2VisionModel`, whose parts become this encoder's.
        img_size: side of the square input, in pixels; a multiple of 32, by which a fresh position embedding is tiled.

    Source: arXiv:2306.00989; windowed position embeddings are arXiv:2311.05613.
    """

    default_targets = ("attn.qkv", "mlp.proj_in", "mlp.proj_out")

    def __init__(self, vision: Any, img_size: int) -> None:
        super().__init__()
        self.img_size = img_size
        self.gradient_checkpointing = False
        self.backbone = vision.backbone
        self.neck = vision.neck
        self.neck.position_encoding = NoPositions()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map normalised images (B, 3, S, S) to features (B, C, s, s) with s = S / 16, S / 8 and S / 4."""
        tokens = self.backbone.patch_embed(images)
        tokens = tokens + self.backbone._get_pos_embed(tokens.shape[1:3])
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        stages = []
        for index, block in enumerate(self.backbone.blocks):
            tokens = checkpoint(block, tokens, use_reentrant=False) if recompute else block(tokens)
            if index in self.backbone.stage_ends:
                stages.append(tokens)
        levels, _ = self.neck(stages)
        embeddings, finer, finest = levels[-3:]
        return embeddings, finer, finest

    def grid_of(self, layer: str) -> TokenGrid:
        """Return what a layer sees: attention of most blocks windows, all others the image."""
        index = int(layer.removeprefix("backbone.blocks.").partition(".")[0])
        block = self.backbone.blocks[index]
        stages = sum(index > end for end in self.backbone.stage_ends)
        after = self.img_size // (_TOKEN * 2**stages)
        pooled = bool(block.query_stride)
        if layer.endswith("attn.proj"):
            return TokenGrid(after, block.window_size // (2 if pooled else 1))
        if layer.endswith("attn.qkv"):
            return TokenGrid(after * (2 if pooled else 1), block.window_size)
        return TokenGrid(after * 2 if layer.endswith(f"{index}.proj") else after)

    def multiplications(self) -> float:
        """Return the multiplications of one image's encoding."""
        return count_multiplications(self, self.img_size)


def build(spec: Sam2Spec) -> Sam2:
    """Build a SAM 2 with random weights.

    Raises:
        ConfigError: if transformers is not installed.
    """
    require_transformers("Sam2Model")
    model = build_model("Sam2Model", hf_config(spec))
    encoder = HieraEncoder(model.vision_encoder, spec.image_size)
    return Sam2(encoder, model, spec.pixel_mean, spec.pixel_std)


def hf_config(spec: Sam2Spec) -> Any:
    """Return transformers' `Sam2Config` of a model, whose `to_dict()` is its config.json."""
    from transformers import Sam2Config, Sam2VisionConfig

    widths = [spec.encoder_width * 2**stage for stage in range(len(spec.blocks))]
    side = spec.image_size // _TOKEN
    vision = Sam2VisionConfig(
        backbone_config={
            "model_type": "sam2_hiera_det_model",
            "hidden_size": spec.encoder_width,
            "num_attention_heads": spec.encoder_heads,
            "image_size": [spec.image_size, spec.image_size],
            "window_positional_embedding_background_size": [spec.background_size, spec.background_size],
            "blocks_per_stage": list(spec.blocks),
            "embed_dim_per_stage": widths,
            "num_attention_heads_per_stage": [spec.encoder_heads * 2**stage for stage in range(len(spec.blocks))],
            "window_size_per_stage": list(spec.window_sizes),
            "global_attention_blocks": list(spec.global_attn_indexes),
        },
        backbone_channel_list=widths[::-1],
        backbone_feature_sizes=[[side // 2**level, side // 2**level] for level in range(3)],
        fpn_hidden_size=spec.embed_channels,
    )
    parts: Any = tracker_configs(spec, _PATCH)
    return Sam2Config(vision_config=vision, **parts, architectures=["Sam2Model"])
