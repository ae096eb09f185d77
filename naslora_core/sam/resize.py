"""Resize the position embeddings of the original SAM to another image size; no other weight depends on it."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from naslora_core.sam.specs import ModelSpec, ViTSpec

POSITION_EMBEDDING = "image_encoder.pos_embed"


def resize_positions(weights: Mapping[str, Tensor], native: ModelSpec, target: ModelSpec) -> dict[str, Tensor]:
    """Return a state dict with position embeddings resized to the grid of `target`.

    The absolute embedding and the relative tables of global blocks are interpolated. Windows keep their side
    at every image size, so windowed blocks keep their tables; all else does not know the grid. A table that has
    not the native shape stays as it is: strict loading then names it. The other families have no weight that depends
    on the image size.

    Args:
        weights: of a model at its native size; tables may be in half precision.
        native: the model as it was trained.
        target: the same model at another image size.
    """
    resized = dict(weights)
    if not isinstance(native, ViTSpec) or not isinstance(target, ViTSpec) or native.grid_size == target.grid_size:
        return resized
    side, wanted = native.grid_size, target.grid_size
    if POSITION_EMBEDDING in weights and weights[POSITION_EMBEDDING].shape[1:3] == (side, side):
        resized[POSITION_EMBEDDING] = resize_absolute(weights[POSITION_EMBEDDING], wanted)
    for block in native.global_attn_indexes:
        for axis in "hw":
            key = f"image_encoder.blocks.{block}.attn.rel_pos_{axis}"
            if key in weights and len(weights[key]) == 2 * side - 1:
                resized[key] = resize_relative(weights[key], wanted)
    return resized


def resize_absolute(embedding: Tensor, grid_size: int) -> Tensor:
    """Return an embedding (1, H, W, C) for a square grid, (1, grid_size, grid_size, C), in float32.

    Bicubic, as vision transformers are commonly moved to other sizes, because bilinear interpolation flattens
    an embedding that changes from patch to patch; without antialiasing, which would blur it when it shrinks,
    although nothing is there to alias: every value stands for a position, not for an area of the image.
    """
    channels_first = embedding.float().permute(0, 3, 1, 2)
    size = (grid_size, grid_size)
    return F.interpolate(channels_first, size=size, mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def resize_relative(table: Tensor, grid_size: int) -> Tensor:
    """Return a table (2 * side - 1, C) of relative positions for another side, (2 * grid_size - 1, C), in float32.

    Linear, which is what upstream's `get_rel_pos` does in every forward pass when a table does not fit.
    """
    channels_first = table.float().t()[None]
    return F.interpolate(channels_first, size=2 * grid_size - 1, mode="linear")[0].t()
