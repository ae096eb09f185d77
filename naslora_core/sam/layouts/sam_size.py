"""Which SAM with a plain vision transformer weights are of."""

from collections.abc import Mapping

from torch import Tensor

from naslora_core.sam.layouts.layout import Size, count_blocks, size_of
from naslora_core.sam.specs import ModelSpec, ViTSpec

_ENCODER = "image_encoder."
_BLOCK = f"{_ENCODER}blocks."


def sam_size(weights: Mapping[str, Tensor]) -> Size:
    """Return which SAM the weights are of, by upstream's keys; the image size is no part of the name."""
    width = _length(weights, f"{_ENCODER}patch_embed.proj.weight", 0)
    channels = _length(weights, f"{_ENCODER}neck.0.weight", 0)
    depth = count_blocks(weights, _BLOCK)
    relative = weights.get(f"{_BLOCK}0.attn.rel_pos_h")
    if relative is not None and relative.dim() != 2:
        relative = None
    # Block 0 has windows in every model: a table of 2 * side - 1 rows, as wide as a head.
    window, head = (None, None) if relative is None else ((len(relative) + 1) // 2, relative.shape[-1])
    seen = f"{depth} blocks of width {width}"
    if pixels := stored_image_size(weights):
        seen += f", {pixels} px"

    def fits(spec: ModelSpec) -> bool:
        if not isinstance(spec, ViTSpec):
            return False
        same = (spec.encoder_width, spec.encoder_depth, spec.embed_channels) == (width, depth, channels)
        if relative is None or not spec.use_rel_pos:
            return same and spec.use_rel_pos == (relative is not None)
        return same and (spec.window_size, spec.encoder_width // spec.encoder_heads) == (window, head)

    return size_of(fits, seen)


def stored_image_size(weights: Mapping[str, Tensor]) -> int:
    """Return the side of the square input that weights were saved for, in pixels; 0 if they do not say it."""
    positions = weights.get(f"{_ENCODER}pos_embed")
    patch = _length(weights, f"{_ENCODER}patch_embed.proj.weight", 2)
    return positions.shape[1] * patch if positions is not None and positions.dim() == 4 else 0


def _length(weights: Mapping[str, Tensor], key: str, dimension: int) -> int:
    return weights[key].shape[dimension] if key in weights and weights[key].dim() == 4 else 0
