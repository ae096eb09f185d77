"""What the layouts of SAM 2 and SAM 3 share: prompt encoder, mask decoder, and what follows objects through videos."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from naslora_core.sam.layouts.names import THREE_LAYERS

_POSITIONS = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
_POINTS = "prompt_encoder.point_embed.weight"
_POINT = re.compile(r"sam_prompt_encoder\.point_embeddings\.(\d+)\.weight")
# Of a model beside the encoder.
PARTS = ("prompt_encoder", "mask_decoder", "shared_image_embedding", "no_memory_embedding")
_MEMORY = "the memory of videos"

# Beginnings of keys that only videos need, of the authors and of transformers.
OFFICIAL_MEMORY = {
    _MEMORY: (
        *("memory_attention.", "memory_encoder.", "transformer.", "maskmem_", "no_mem_pos_enc"),
        *("no_obj_", "mask_downsample.", "obj_ptr_"),
    )
}
HUGGING_FACE_MEMORY = {
    _MEMORY: (
        *("memory_", "mask_downsample.", "object_pointer_proj.", "temporal_positional_encoding_projection_layer."),
        *("no_memory_positional_encoding", "no_object_pointer", "occlusion_spatial_embedding_parameter"),
    )
}


def official_names(decoder_mlp: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the authors' names of the parts of prompt encoder and mask decoder, and transformers'.

    Args:
        decoder_mlp: the authors' names of the two layers of an MLP in the decoder's transformer.
    """
    ours, theirs = "mask_decoder", "sam_mask_decoder"
    block = "transformer.layers.#"
    attentions = ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
    decoder = [
        *((f"{block}.{name}.out_proj", f"{block}.{name}.o_proj") for name in attentions),
        (f"{block}.mlp.{decoder_mlp[0]}", f"{block}.mlp.proj_in"),
        (f"{block}.mlp.{decoder_mlp[1]}", f"{block}.mlp.proj_out"),
        (f"{block}.norm#", f"{block}.layer_norm#"),
        ("transformer.final_attn_token_to_image.out_proj", "transformer.final_attn_token_to_image.o_proj"),
        ("transformer.norm_final_attn", "transformer.layer_norm_final_attn"),
        ("output_upscaling.0", "upscale_conv1"),
        ("output_upscaling.1", "upscale_layer_norm"),
        ("output_upscaling.3", "upscale_conv2"),
        *(
            (f"{network}.{layer}", f"{network}.{name}")
            for network in ("output_hypernetworks_mlps.#", "iou_prediction_head", "pred_obj_score_head")
            for layer, name in THREE_LAYERS
        ),
    ]
    masks = (("0", "conv1"), ("1", "layer_norm1"), ("3", "conv2"), ("4", "layer_norm2"), ("6", "conv3"))
    return (
        ("no_mem_embed", "no_memory_embedding"),
        ("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", _POSITIONS[1]),
        *((f"sam_prompt_encoder.mask_downscaling.{old}", f"prompt_encoder.mask_embed.{new}") for old, new in masks),
        ("sam_prompt_encoder", "prompt_encoder"),
        *((f"{theirs}.{old}", f"{ours}.{new}") for old, new in decoder),
        (theirs, ours),
    )


def join_points(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the authors' embeddings of points, of a tensor each, in one, as transformers has them."""
    points = {int(match[1]): key for key in weights if (match := _POINT.fullmatch(key))}
    joined = {key: value for key, value in weights.items() if key not in points.values()}
    if points:
        joined[_POINTS] = torch.cat([weights[points[number]] for number in sorted(points)])
    return joined


def split_points(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the embedding of points in a tensor each: the inverse of `join_points`."""
    split = dict(weights)
    for number, row in enumerate(split.pop(_POINTS)):
        split[f"sam_prompt_encoder.point_embeddings.{number}.weight"] = row[None]
    return split


def share_positions(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the encoding of positions for images and for prompts, where a file holds one of the two."""
    shared = dict(weights)
    for one, other in (_POSITIONS, _POSITIONS[::-1]):
        if one in shared:
            shared.setdefault(other, shared[one])
    return shared


def one_position(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with one encoding of positions, as the authors have it: that of images."""
    kept = dict(weights)
    kept[_POSITIONS[1]] = kept.pop(_POSITIONS[0])
    return kept
