"""Layouts of SAM 3: the authors', transformers' (`Sam3TrackerModel`, alone or beside the detector), and the one here.

Of all of them only what segments an image without words is used: the perception encoder and the tracker.
"""

from collections.abc import Mapping, Set

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
    share_positions,
)
from naslora_core.sam.specs import ModelSpec, Sam3Spec

_LAYERS = "image_encoder.backbone.layers."
_QUERY = "backbone.layers.0.attention.q_proj.weight"
_TRUNK, _PYRAMID = "detector.backbone.vision_backbone.trunk", "detector.backbone.vision_backbone.sam2_convs"
_TRACKER, _BACKBONE = "tracker_model.", "detector_model.vision_encoder.backbone."
_POSITIONS = "image_encoder.backbone.embeddings.position_embeddings"
_QKV = ".attention.qkv."
_DETECTOR = "the detector of concepts with its text encoder"
_ROTATIONS = "rotations of queries and keys, which are computed"
_COARSEST = {"the pyramid's coarsest level, which the detector alone uses": ("image_encoder.neck.fpn_layers.3.",)}
_HUGGING_FACE = Names([("vision_encoder", "image_encoder")])
_WHOLE = Names(
    [("detector_model.vision_encoder.backbone", "image_encoder.backbone"), ("tracker_neck", "image_encoder.neck")]
)
_OFFICIAL = Names(
    [
        (f"{_TRUNK}.pos_embed", _POSITIONS),
        (f"{_TRUNK}.patch_embed.proj", "image_encoder.backbone.embeddings.patch_embeddings.projection"),
        (f"{_TRUNK}.ln_pre", "image_encoder.backbone.layer_norm"),
        (f"{_TRUNK}.blocks.#.norm#", f"{_LAYERS}#.layer_norm#"),
        (f"{_TRUNK}.blocks.#.attn.proj", f"{_LAYERS}#.attention.o_proj"),
        (f"{_TRUNK}.blocks.#.attn", f"{_LAYERS}#.attention"),
        (f"{_TRUNK}.blocks", _LAYERS.rstrip(".")),
        (f"{_PYRAMID}.#.dconv_2x2_0", "image_encoder.neck.fpn_layers.#.scale_layers.0"),
        (f"{_PYRAMID}.#.dconv_2x2_1", "image_encoder.neck.fpn_layers.#.scale_layers.2"),
        (f"{_PYRAMID}.#.dconv_2x2", "image_encoder.neck.fpn_layers.#.scale_layers.0"),
        (f"{_PYRAMID}.#.conv_1x1", "image_encoder.neck.fpn_layers.#.proj1"),
        (f"{_PYRAMID}.#.conv_3x3", "image_encoder.neck.fpn_layers.#.proj2"),
        *official_names(decoder_mlp=("lin1", "lin2")),
    ]
)


def to_hugging_face(key: str) -> str:
    """Return the name in transformers' `Sam3TrackerModel` of a weight or layer that is called `key` here."""
    return _HUGGING_FACE.back(key)


def sam3_size(weights: Mapping[str, Tensor]) -> Size:
    """Return which SAM 3 weights are of, by the names here."""
    width = len(weights.get(f"{_LAYERS}0.layer_norm1.weight", ()))
    depth = count_blocks(weights, _LAYERS)
    channels = len(weights.get("image_encoder.neck.fpn_layers.0.proj2.weight", ()))

    def fits(spec: ModelSpec) -> bool:
        return isinstance(spec, Sam3Spec) and (spec.encoder_width, spec.encoder_depth, spec.embed_channels) == (
            width,
            depth,
            channels,
        )

    return size_of(fits, f"perception encoder with {depth} blocks of width {width}")


def _own(weights: Mapping[str, Tensor], left_out: list[str]) -> Converted:
    kept, coarsest = without(weights, _COARSEST)
    return Converted(shared := share_positions(kept), (*left_out, *coarsest), absent_parts(shared, PARTS))


def _convert_official(weights: Mapping[str, Tensor]) -> Converted:
    bare = {key.removeprefix("tracker."): value for key, value in weights.items()}
    detector = tuple(key for key in bare if key.startswith("detector.") and not key.startswith((_TRUNK, _PYRAMID)))
    rotations = tuple(key for key in bare if key.endswith(".freqs_cis"))
    kept, left_out = without(bare, {_DETECTOR: detector, **OFFICIAL_MEMORY, _ROTATIONS: rotations})
    own: dict[str, Tensor] = {}
    for name, value in join_points(kept).items():
        key = _OFFICIAL.other(name)
        if _QKV in key:
            parts = zip("qkv", value.chunk(3), strict=True)
            own |= {key.replace(_QKV, f".attention.{part}_proj."): rows for part, rows in parts}
        else:
            own[key] = value
    # One position more than a square has: the class token's, which the encoder was trained with and does without.
    if (positions := own.get(_POSITIONS)) is not None and int(positions.shape[1] ** 0.5) ** 2 != positions.shape[1]:
        own[_POSITIONS] = positions[:, 1:]
        left_out.append("the position of a class token: 1 row")
    return _own(own, left_out)


def _convert_whole(weights: Mapping[str, Tensor]) -> Converted:
    bare = {key.removeprefix(_TRACKER): value for key, value in weights.items()}
    detector = tuple(key for key in bare if key.startswith("detector_model.") and not key.startswith(_BACKBONE))
    kept, left_out = without(bare, {_DETECTOR: detector, **HUGGING_FACE_MEMORY})
    return _own({_WHOLE.other(key): value for key, value in kept.items()}, left_out)


def _convert_tracker(weights: Mapping[str, Tensor]) -> Converted:
    if any(key.startswith("detr_decoder.") for key in weights):
        raise ValueError(
            "it holds SAM 3's detector of concepts alone (transformers' Sam3Model), and masks without words come from "
            "the tracker; give the folder of facebook/sam3, which holds both, or one that Sam3TrackerModel saved"
        )
    kept, left_out = without(weights, HUGGING_FACE_MEMORY)
    return _own({_HUGGING_FACE.other(key): value for key, value in kept.items()}, left_out)


def _is_official(keys: Set[str]) -> bool:
    return f"{_TRUNK}.blocks.0.attn.qkv.weight" in keys


LAYOUTS.register("facebookresearch/sam3")(Layout("sam3", _is_official, _convert_official, sam3_size))
LAYOUTS.register("Hugging Face SAM 3, detector and tracker")(
    Layout("sam3", lambda keys: f"detector_model.vision_encoder.{_QUERY}" in keys, _convert_whole, sam3_size)
)
# What `Sam3TrackerModel.save_pretrained` of transformers 5.23 writes: the names of the whole, all in the tracker.
LAYOUTS.register("Hugging Face Sam3TrackerModel, saved")(
    Layout("sam3", lambda keys: f"{_TRACKER}detector_model.vision_encoder.{_QUERY}" in keys, _convert_whole, sam3_size)
)
LAYOUTS.register("Hugging Face Sam3TrackerModel")(
    Layout("sam3", lambda keys: f"vision_encoder.{_QUERY}" in keys, _convert_tracker, sam3_size)
)
LAYOUTS.register("SAM 3 as naslora saves it")(
    Layout("sam3", lambda keys: f"image_encoder.{_QUERY}" in keys, lambda own: _own(own, []), sam3_size)
)
