"""Hugging Face's names of SAM's weights (transformers, `SamModel` and `SamHQModel`), in both directions."""

from collections.abc import Mapping

import torch
from torch import Tensor

from naslora_core.sam.layouts.layout import LAYOUTS, Converted, Layout, absent_parts, without
from naslora_core.sam.layouts.names import THREE_LAYERS, Names
from naslora_core.sam.layouts.official import PARTS
from naslora_core.sam.layouts.sam_size import sam_size

# Upstream's name and transformers' of each part that is called otherwise; # is a number that both share.
_NAMES = Names(
    [
        ("image_encoder.patch_embed.proj", "vision_encoder.patch_embed.projection"),
        ("image_encoder.blocks.#.norm#", "vision_encoder.layers.#.layer_norm#"),
        ("image_encoder.blocks.#", "vision_encoder.layers.#"),
        ("image_encoder.neck.0", "vision_encoder.neck.conv1"),
        ("image_encoder.neck.1", "vision_encoder.neck.layer_norm1"),
        ("image_encoder.neck.2", "vision_encoder.neck.conv2"),
        ("image_encoder.neck.3", "vision_encoder.neck.layer_norm2"),
        ("image_encoder", "vision_encoder"),
        ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
        ("prompt_encoder.point_embeddings.#", "prompt_encoder.point_embed.#"),
        ("prompt_encoder.mask_downscaling.0", "prompt_encoder.mask_embed.conv1"),
        ("prompt_encoder.mask_downscaling.1", "prompt_encoder.mask_embed.layer_norm1"),
        ("prompt_encoder.mask_downscaling.3", "prompt_encoder.mask_embed.conv2"),
        ("prompt_encoder.mask_downscaling.4", "prompt_encoder.mask_embed.layer_norm2"),
        ("prompt_encoder.mask_downscaling.6", "prompt_encoder.mask_embed.conv3"),
        ("mask_decoder.transformer.layers.#.norm#", "mask_decoder.transformer.layers.#.layer_norm#"),
        ("mask_decoder.transformer.norm_final_attn", "mask_decoder.transformer.layer_norm_final_attn"),
        ("mask_decoder.output_upscaling.0", "mask_decoder.upscale_conv1"),
        ("mask_decoder.output_upscaling.1", "mask_decoder.upscale_layer_norm"),
        ("mask_decoder.output_upscaling.3", "mask_decoder.upscale_conv2"),
        *(
            (f"mask_decoder.{network}.{layer}", f"mask_decoder.{network}.{name}")
            for network in ("output_hypernetworks_mlps.#", "iou_prediction_head")
            for layer, name in THREE_LAYERS
        ),
    ]
)
_POSITIONS, _SAME_POSITIONS = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)
_BLOCK, _HQ_TOKEN = "vision_encoder.layers.0.attn.qkv.weight", "mask_decoder.hq_token.weight"
_HQ_PARTS = (
    *("hq_token", "hq_mask_mlp", "compress_vit_conv1", "compress_vit_conv2", "compress_vit_norm"),
    *("encoder_conv1", "encoder_conv2", "encoder_norm", "mask_conv1", "mask_conv2", "mask_norm"),
)
_LEFT_OUT = {"SAM-HQ's token and the layers for its mask": tuple(f"mask_decoder.{part}." for part in _HQ_PARTS)}


def to_hugging_face(key: str) -> str:
    """Return transformers' name of a weight or layer that upstream calls `key`."""
    return _NAMES.other(key)


def from_hugging_face(key: str) -> str:
    """Return upstream's name of a weight or layer that transformers calls `key`."""
    return _NAMES.back(key)


def _convert(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = without(weights, _LEFT_OUT)
    # One tensor of two names; files hold the first, the second or both.
    if _SAME_POSITIONS in kept:
        same = kept.pop(_SAME_POSITIONS)
        if not torch.equal(kept.setdefault(_POSITIONS, same), same):
            raise ValueError(f"{_POSITIONS} and {_SAME_POSITIONS} differ, and SAM has one of them; save it again")
    renamed = {from_hugging_face(key): value for key, value in kept.items()}
    return Converted(renamed, tuple(left_out), absent_parts(renamed, PARTS))


LAYOUTS.register("Hugging Face SamModel")(
    Layout("sam", lambda keys: _BLOCK in keys and _HQ_TOKEN not in keys, _convert, sam_size)
)
LAYOUTS.register("Hugging Face SamHQModel")(Layout("sam", lambda keys: {_BLOCK, _HQ_TOKEN} <= keys, _convert, sam_size))
