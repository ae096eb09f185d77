"""Layouts of MobileSAM: the authors' file and what is fine-tuned from it, Light HQ-SAM, an encoder alone, our own.

micro-sam's vit_t has the first, once unwrapped.
"""

from collections.abc import Callable, Mapping, Set

from torch import Tensor

from naslora_core.sam.families.mobile_sam_keys import CLASSIFIER, from_official
from naslora_core.sam.layouts.layout import (
    LAYOUTS,
    Converted,
    Layout,
    Size,
    absent_parts,
    count_blocks,
    size_of,
    without,
)
from naslora_core.sam.layouts.official import DECODER, ENCODER, LEFT_OUT, PARTS, has_decoder, split_bare
from naslora_core.sam.specs import ModelSpec, TinyViTSpec

_BARE_BLOCK = "layers.0.blocks.0.conv1.c.weight"
_BLOCK, _HQ_TOKEN = f"{ENCODER}.{_BARE_BLOCK}", f"{DECODER}.hf_token.weight"
_OWN_BLOCK = f"{ENCODER}.stages.0.blocks.0.conv1.linear.weight"
_BARE = ("layers.", "neck.", "patch_embed.", "norm_head.", "head.")
_LEFT_OUT = LEFT_OUT | {"TinyViT's classifier, which no image passes": CLASSIFIER}


def _convert(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = without(weights, _LEFT_OUT)
    return Converted(from_official(kept), tuple(left_out), absent_parts(kept, PARTS))


def _convert_bare(weights: Mapping[str, Tensor]) -> Converted:
    inside, others = split_bare(weights, _BARE)
    converted = _convert(inside)
    return Converted(converted.weights, (*others, *converted.left_out), converted.fresh)


def mobile_sam_size(weights: Mapping[str, Tensor]) -> Size:
    """Return which MobileSAM weights are of, by our names; no weight depends on the image size."""
    stem = weights.get(f"{ENCODER}.patch_embed.conv1.conv.weight")
    if stem is not None and stem.shape[-1] == 1:
        return Size("", "LiteMedSAM, whose first layers keep all 256 x 256 pixels where MobileSAM's shrink them")
    names = [f"{ENCODER}.stages.0.blocks.0.conv3.linear.weight"]
    names += [f"{ENCODER}.stages.{stage}.downsample.conv3.linear.weight" for stage in (1, 2, 3)]
    widths = tuple(len(weights[name]) if name in weights else 0 for name in names)
    depths = tuple(count_blocks(weights, f"{ENCODER}.stages.{stage}.blocks.") for stage in range(4))

    def fits(spec: ModelSpec) -> bool:
        return isinstance(spec, TinyViTSpec) and (spec.stage_widths, spec.stage_depths) == (widths, depths)

    seen = f"TinyViT of widths {_joined(widths)} and {_joined(depths)} blocks"
    return size_of(fits, seen)


def _joined(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _register(
    name: str, matches: Callable[[Set[str]], bool], convert: Callable[[Mapping[str, Tensor]], Converted]
) -> None:
    LAYOUTS.register(name)(Layout("mobile_sam", matches, convert, mobile_sam_size))


_register("MobileSAM", lambda keys: _BLOCK in keys and _HQ_TOKEN not in keys and has_decoder(keys), _convert)
_register("Light HQ-SAM", lambda keys: {_BLOCK, _HQ_TOKEN} <= keys, _convert)
_register("MobileSAM's image encoder alone", lambda keys: _BLOCK in keys and not has_decoder(keys), _convert)
# The neck tells it from a TinyViT that was never part of a SAM.
_register(
    "MobileSAM's image encoder alone, without its name",
    lambda keys: {_BARE_BLOCK, "neck.0.weight"} <= keys,
    _convert_bare,
)
_register("MobileSAM in this project", lambda keys: _OWN_BLOCK in keys, lambda weights: Converted(dict(weights)))
