"""Layouts with upstream's own keys: segment-anything and what is fine-tuned from it, SAM-HQ, an encoder alone.

MedSAM's and micro-sam's files have the first, once unwrapped.
"""

from collections.abc import Iterable, Mapping, Set

from torch import Tensor

from naslora_core.sam.layouts.layout import LAYOUTS, Converted, Layout, absent_parts, without
from naslora_core.sam.layouts.sam_size import sam_size

ENCODER, DECODER = "image_encoder", "mask_decoder"
# Of a SAM beside the encoder.
PARTS = ("prompt_encoder", DECODER)
_BLOCK, _BARE_BLOCK = f"{ENCODER}.blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.weight"
_HQ_TOKEN = f"{DECODER}.hf_token.weight"
_BARE = ("blocks.", "neck.", "patch_embed.", "pos_embed")
# SAM-HQ adds these to the decoder (arXiv:2306.01567, section 3.2) and leaves all others as SAM has them.
_HQ_PARTS = ("hf_token", "hf_mlp", "compress_vit_feat", "embedding_encoder", "embedding_maskfeature")
LEFT_OUT = {
    "pixel mean and deviation, which are SAM's constants": ("pixel_mean", "pixel_std"),
    "SAM-HQ's token and the layers for its mask": tuple(f"{DECODER}.{part}." for part in _HQ_PARTS),
}


def has_decoder(keys: Iterable[str]) -> bool:
    """Return whether there are weights of a mask decoder."""
    return any(key.startswith(f"{DECODER}.") for key in keys)


def split_bare(weights: Mapping[str, Tensor], beginnings: tuple[str, ...]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the weights of an encoder that lacks its name, with that name, and in words what else was there.

    Args:
        weights: by name.
        beginnings: of the encoder's own keys.
    """
    kept = {f"{ENCODER}.{key}": value for key, value in weights.items() if key.startswith(beginnings)}
    others = len(weights) - len(kept)
    return kept, (f"what is no part of the encoder: {others} tensors",) if others else ()


def _convert(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = without(weights, LEFT_OUT)
    return Converted(kept, tuple(left_out), absent_parts(kept, PARTS))


def _convert_bare(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = split_bare(weights, _BARE)
    return Converted(kept, left_out, PARTS)


def _is_plain(keys: Set[str]) -> bool:
    return _BLOCK in keys and has_decoder(keys) and _HQ_TOKEN not in keys


def _is_encoder(keys: Set[str]) -> bool:
    return _BLOCK in keys and not has_decoder(keys)


def _is_bare_encoder(keys: Set[str]) -> bool:
    # The neck tells SAM's encoder from other vision transformers with the same names of blocks.
    return {_BARE_BLOCK, "neck.0.weight", "pos_embed", "patch_embed.proj.weight"} <= keys


LAYOUTS.register("segment-anything")(Layout("sam", _is_plain, _convert, sam_size))
LAYOUTS.register("SAM-HQ")(Layout("sam", lambda keys: {_BLOCK, _HQ_TOKEN} <= keys, _convert, sam_size))
LAYOUTS.register("image encoder alone")(Layout("sam", _is_encoder, _convert, sam_size))
LAYOUTS.register("image encoder alone, without its name")(Layout("sam", _is_bare_encoder, _convert_bare, sam_size))
