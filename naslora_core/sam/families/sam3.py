"""SAM 3 for images: its perception encoder, and the tracker's pyramid and mask decoder, which are SAM 2's kind."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from naslora_core.geometry.token_grid import TokenGrid
from naslora_core.sam.families.tracker import (
    TrackerSam,
    build_model,
    count_multiplications,
    require_transformers,
    tracker_configs,
)
from naslora_core.sam.specs import Sam3Spec
from naslora_core.sam.square import PADDING_RGB


class Sam3(TrackerSam):
    """SAM 3's tracker on a single image (arXiv:2511.16719), without its detector of concepts."""

    family = "sam3"

    def padding(self) -> Tensor:
        """Return the colour beyond an image that training images have; it is not zero to this encoder."""
        return self.pixel_mean.new_tensor(PADDING_RGB).view(3, 1, 1)


class PerceptionEncoder(nn.Module):
    """transformers' perception encoder and feature pyramid, and what `ImageEncoder` asks for.

    Queries, keys and values have a layer each. Positions are tiled from a small grid, and rotate queries and keys by
    the place within the window, or in global blocks by the place in the image in units that make it as wide as one
    window. So every image size suits it that patches divide; windows that reach beyond the image are padded with zeros.

    Args:
        vision: transformers' `Sam3VisionModel`, whose parts become this encoder's.
        img_size: side of the square input, in pixels.
        patch_size: side of a patch, in pixels.

    Source: arXiv:2511.16719; rotary positions are arXiv:2104.09864.
    """

    default_targets = ("attention.q_proj", "attention.k_proj", "attention.v_proj", "mlp.fc1", "mlp.fc2")

    def __init__(self, vision: Any, img_size: int, patch_size: int) -> None:
        super().__init__()
        self.img_size = img_size
        self.gradient_checkpointing = False
        self._side = img_size // patch_size
        self.backbone = vision.backbone
        self.neck = vision.neck

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map normalised images (B, 3, S, S) to features (B, C, h, w), (B, C, 2h, 2w) and (B, C, 4h, 4w)."""
        tokens = self.backbone.embeddings(images).unflatten(1, (self._side, self._side))
        tokens = self.backbone.layer_norm(tokens)
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        for block in self.backbone.layers:
            tokens = checkpoint(block, tokens, use_reentrant=False) if recompute else block(tokens)
        grid = tokens.permute(0, 3, 1, 2)
        finest, finer, embeddings = (level(grid) for level in self.neck.fpn_layers)
        return embeddings, finer, finest

    def grid_of(self, layer: str) -> TokenGrid:
        """Return what a layer sees: attention of most blocks windows, MLPs the image."""
        block, attends, _ = layer.partition(".attention.")
        described: Any = self.get_submodule(block)
        return TokenGrid(self._side, described.window_size if attends else 0)

    def multiplications(self) -> float:
        """Return the multiplications of one image's encoding."""
        return count_multiplications(self, self.img_size)


def build(spec: Sam3Spec) -> Sam3:
    """Build a SAM 3 with random weights.

    Raises:
        ConfigError: if transformers is not installed.
    """
    require_transformers("Sam3TrackerModel")
    model = build_model("Sam3TrackerModel", hf_config(spec))
    encoder = PerceptionEncoder(model.vision_encoder, spec.image_size, spec.patch_size)
    return Sam3(encoder, model, spec.pixel_mean, spec.pixel_std)


def hf_config(spec: Sam3Spec) -> Any:
    """Return transformers' `Sam3TrackerConfig` of a model, whose `to_dict()` is its config.json."""
    from transformers import Sam3TrackerConfig, Sam3VisionConfig

    side = spec.image_size // spec.patch_size
    vision = Sam3VisionConfig(
        backbone_config={
            "model_type": "sam3_vit_model",
            "hidden_size": spec.encoder_width,
            "intermediate_size": spec.encoder_mlp_dim,
            "num_hidden_layers": spec.encoder_depth,
            "num_attention_heads": spec.encoder_heads,
            "image_size": spec.image_size,
            "patch_size": spec.patch_size,
            "window_size": spec.window_size,
            "global_attn_indexes": list(spec.global_attn_indexes),
            "pretrain_image_size": spec.positions_size * spec.patch_size,
            # The authors'; transformers' default is a tenth of it.
            "layer_norm_eps": 1e-5,
        },
        fpn_hidden_size=spec.embed_channels,
        # The authors' code has a level of half the side too, for the detector alone, and drops it before the tracker.
        # transformers keeps it by default, and then adds `no_memory_embedding` to it instead of the embeddings.
        scale_factors=[4.0, 2.0, 1.0],
        backbone_feature_sizes=[[side * scale, side * scale] for scale in (4, 2, 1)],
    )
    parts: Any = tracker_configs(spec, spec.patch_size)
    return Sam3TrackerConfig(vision_config=vision, **parts, architectures=["Sam3TrackerModel"])
