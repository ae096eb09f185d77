"""Layouts with upstream's own keys: segment-anything and what is fine-tuned from it, SAM-HQ, an encoder alone.

MedSAM's and micro-sam's files have the first, once unwrapped.
"""

from collections.abc import Mapping, Set

from torch import Tensor

from naslora_core.sam.layouts.layout import LAYOUTS, Converted, Layout, without
from naslora_core.sam.layouts.sam_size import sam_size

ENCODER, DECODER, PROMPTS = "image_encoder", "mask_decoder", "prompt_encoder"
_BLOCK, _BARE_BLOCK = f"{ENCODER}.blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.weight"
_HQ_TOKEN = f"{DECODER}.hf_token.weight"
_BARE = ("blocks.", "neck.", "patch_embed.", "pos_embed")
# SAM-HQ adds these to the decoder (arXiv:2306.01567, section 3.2) and leaves all others as SAM has them.
_HQ_PARTS = ("hf_token", "hf_mlp", "compress_vit_feat", "embedding_encoder", "embedding_maskfeature")
LEFT_OUT = {
    "pixel mean and deviation, which are SAM's constants": ("pixel_mean", "pixel_std"),
    "SAM-HQ's token and the layers for its mask": tuple(f"{DECODER}.{part}." for part in _HQ_PARTS),
}


def absent_parts(weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return which of SAM's parts beside the encoder have no weight at all, by upstream's keys.

    A part of which one tensor is there is damaged, not absent: strict loading names what is missing.
    """
    return tuple(part for part in (PROMPTS, DECODER) if not any(key.startswith(f"{part}.") for key in weights))


def _convert(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = without(weights, LEFT_OUT)
    return Converted(kept, tuple(left_out), absent_parts(kept))


def _convert_bare(weights: Mapping[str, Tensor]) -> Converted:
    others = {key: value for key, value in weights.items() if not key.startswith(_BARE)}
    left_out = (f"what is no part of the encoder: {len(others)} tensors",) if others else ()
    kept = {f"{ENCODER}.{key}": value for key, value in weights.items() if key not in others}
    return Converted(kept, left_out, (PROMPTS, DECODER))


def _is_plain(keys: Set[str]) -> bool:
    return _BLOCK in keys and any(key.startswith(f"{DECODER}.") for key in keys) and _HQ_TOKEN not in keys


def _is_encoder(keys: Set[str]) -> bool:
    return _BLOCK in keys and not any(key.startswith(f"{DECODER}.") for key in keys)


def _is_bare_encoder(keys: Set[str]) -> bool:
    # The neck tells SAM's encoder from other vision transformers with the same names of blocks.
    return {_BARE_BLOCK, "neck.0.weight", "pos_embed", "patch_embed.proj.weight"} <= keys


LAYOUTS.register("segment-anything")(Layout("sam", _is_plain, _convert, sam_size))
LAYOUTS.register("SAM-HQ")(Layout("sam", lambda keys: {_BLOCK, _HQ_TOKEN} <= keys, _convert, sam_size))
LAYOUTS.register("image encoder alone")(Layout("sam", _is_encoder, _convert, sam_size))
LAYOUTS.register("image encoder alone, without its name")(Layout("sam", _is_bare_encoder, _convert_bare, sam_size))
