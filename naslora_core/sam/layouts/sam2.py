"""Layouts of SAM 2 and SAM 2.1: the authors', transformers' `Sam2Model` and `Sam2VideoModel`, and the one here."""

from collections.abc import Mapping

from torch import Tensor

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
from naslora_core.sam.layouts.names import Names
from naslora_core.sam.layouts.tracker import (
    HUGGING_FACE_MEMORY,
    OFFICIAL_MEMORY,
    PARTS,
    join_points,
    official_names,
    one_position,
    share_positions,
    split_points,
)
from naslora_core.sam.specs import ModelSpec, Sam2Spec

_BLOCKS = "image_encoder.backbone.blocks."
_QKV = "blocks.0.attn.qkv.weight"
_HUGGING_FACE = Names([("vision_encoder", "image_encoder")])
_OFFICIAL = Names(
    [
        ("image_encoder.trunk.patch_embed.proj", "image_encoder.backbone.patch_embed.projection"),
        ("image_encoder.trunk.blocks.#.norm#", f"{_BLOCKS}#.layer_norm#"),
        ("image_encoder.trunk.blocks.#.mlp.layers.0", f"{_BLOCKS}#.mlp.proj_in"),
        ("image_encoder.trunk.blocks.#.mlp.layers.1", f"{_BLOCKS}#.mlp.proj_out"),
        ("image_encoder.trunk", "image_encoder.backbone"),
        ("image_encoder.neck.convs.#.conv", "image_encoder.neck.convs.#"),
        *official_names(decoder_mlp=("layers.0", "layers.1")),
    ]
)


def to_hugging_face(key: str) -> str:
    """Return the name in transformers' `Sam2Model` of a weight or layer that is called `key` here."""
    return _HUGGING_FACE.back(key)


def to_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights by the authors' names, without the memory of videos: what belongs under "model" in their files."""
    return {_OFFICIAL.back(key): value for key, value in split_points(one_position(weights)).items()}


def sam2_size(weights: Mapping[str, Tensor]) -> Size:
    """Return which SAM 2 weights are of, by the names here; 2 and 2.1 have the same size."""
    first = weights.get("image_encoder.backbone.patch_embed.projection.weight")
    token = weights.get("image_encoder.neck.convs.0.weight")
    width, channels = (0 if one is None else len(one) for one in (first, token))
    depth = count_blocks(weights, _BLOCKS)

    def fits(spec: ModelSpec) -> bool:
        return isinstance(spec, Sam2Spec) and (spec.encoder_width, sum(spec.blocks), spec.embed_channels) == (
            width,
            depth,
            channels,
        )

    return size_of(fits, f"Hiera with {depth} blocks, of width {width} in the first stage")


def _own(weights: Mapping[str, Tensor], left_out: list[str]) -> Converted:
    return Converted(shared := share_positions(weights), tuple(left_out), absent_parts(shared, PARTS))


def _convert_official(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = without(weights, OFFICIAL_MEMORY)
    return _own({_OFFICIAL.other(key): value for key, value in join_points(kept).items()}, left_out)


def _convert_hugging_face(weights: Mapping[str, Tensor]) -> Converted:
    kept, left_out = without(weights, HUGGING_FACE_MEMORY)
    return _own({_HUGGING_FACE.other(key): value for key, value in kept.items()}, left_out)


LAYOUTS.register("facebookresearch/sam2")(
    Layout("sam2", lambda keys: f"image_encoder.trunk.{_QKV}" in keys, _convert_official, sam2_size)
)
LAYOUTS.register("Hugging Face Sam2Model")(
    Layout("sam2", lambda keys: f"vision_encoder.backbone.{_QKV}" in keys, _convert_hugging_face, sam2_size)
)
LAYOUTS.register("SAM 2 as naslora saves it")(
    Layout("sam2", lambda keys: f"image_encoder.backbone.{_QKV}" in keys, lambda own: _own(own, []), sam2_size)
)
