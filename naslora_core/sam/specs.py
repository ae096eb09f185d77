"""The sizes of every model this project can adapt. Imports nothing heavy."""

from dataclasses import dataclass, replace
from typing import Literal

from naslora_core.errors import ConfigError

# Side of the square input in pixels; "native" is what a model was trained with.
ImageSize = int | Literal["native"]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known of a model of any family.

    Attributes:
        image_size: side of the square input, in pixels.
        multiple_of: what an image size has to be a multiple of, in pixels.
        embed_channels: channels of the image embeddings, the prompts and the mask decoder.
        file_prefix: how the authors' checkpoint file is called; empty if there is none.
    """

    image_size: int
    multiple_of: int
    embed_channels: int
    file_prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class ViTSpec(ModelSpec):
    """Dimensions of one SAM (arXiv:2304.02643, Appendix A).

    Attributes:
        window_size: side of the attention window of most blocks, in patches.
        global_attn_indexes: blocks that attend to the whole image grid instead.
    """

    encoder_width: int
    encoder_depth: int
    encoder_heads: int
    window_size: int
    global_attn_indexes: tuple[int, ...]
    use_rel_pos: bool
    decoder_heads: int
    decoder_mlp_dim: int
    iou_head_hidden_dim: int

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return self.multiple_of

    @property
    def grid_size(self) -> int:
        """Side of the image grid, in patches."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, kw_only=True)
class TinyViTSpec(ModelSpec):
    """Dimensions of one MobileSAM (arXiv:2306.14289): of the TinyViT's four stages, then of SAM's decoder.

    Attributes:
        stage_windows: side of the attention windows, in tokens; stage 0 has convolutions instead.
    """

    stage_widths: tuple[int, int, int, int]
    stage_depths: tuple[int, int, int, int]
    stage_heads: tuple[int, int, int, int]
    stage_windows: tuple[int, int, int, int]
    decoder_heads: int
    decoder_mlp_dim: int
    iou_head_hidden_dim: int

    @property
    def grid_size(self) -> int:
        """Side of the embeddings, which have a place for each 16 x 16 pixels."""
        return self.image_size // 16


def _official(width: int, depth: int, heads: int, global_blocks: tuple[int, ...], prefix: str) -> ViTSpec:
    return ViTSpec(
        image_size=1024,
        multiple_of=16,
        encoder_width=width,
        encoder_depth=depth,
        encoder_heads=heads,
        window_size=14,
        global_attn_indexes=global_blocks,
        use_rel_pos=True,
        embed_channels=256,
        decoder_heads=8,
        decoder_mlp_dim=2048,
        iou_head_hidden_dim=256,
        file_prefix=prefix,
    )


@dataclass(frozen=True, kw_only=True)
class TrackerSpec(ModelSpec):
    """What SAM 2 and SAM 3 have in common: the mask decoder of SAM 2 (arXiv:2408.00714, Appendix C).

    Attributes:
        pixel_mean: of RGB in 0..1, subtracted from images.
        pixel_std: of RGB in 0..1, by which they are divided then.
    """

    pixel_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    pixel_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_hidden_dim: int = 256


@dataclass(frozen=True, kw_only=True)
class Sam2Spec(TrackerSpec):
    """Dimensions of one SAM 2 or SAM 2.1, which differ in what follows objects through videos alone.

    Attributes:
        encoder_width: channels of Hiera's first stage (arXiv:2306.00989); every stage doubles them.
        encoder_heads: of the first stage's attention; every stage doubles them.
        blocks: of every stage. Tokens are 4 pixels wide in the first and twice as wide in every next one.
        window_sizes: side of the windows of every stage, in tokens. A stage's first block sees its predecessor's.
        global_attn_indexes: blocks that attend to the whole image grid instead, counted over all stages.
        background_size: side of the position embedding that is stretched over the image (arXiv:2311.05613).
    """

    encoder_width: int
    encoder_heads: int
    blocks: tuple[int, ...]
    window_sizes: tuple[int, ...]
    global_attn_indexes: tuple[int, ...]
    background_size: int


@dataclass(frozen=True, kw_only=True)
class Sam3Spec(TrackerSpec):
    """Dimensions of SAM 3's perception encoder (arXiv:2511.16719), used as its tracker uses it for an image.

    Attributes:
        window_size: side of the attention window of most blocks, in patches.
        global_attn_indexes: blocks that attend to the whole image grid instead.
        positions_size: side of the position embedding in patches; the image is tiled with it.
    """

    pixel_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    pixel_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    patch_size: int
    encoder_width: int
    encoder_depth: int
    encoder_heads: int
    encoder_mlp_dim: int
    window_size: int
    global_attn_indexes: tuple[int, ...]
    positions_size: int


def _sam2(
    width: int,
    heads: int,
    blocks: tuple[int, ...],
    global_blocks: tuple[int, ...],
    window_sizes: tuple[int, ...] = (8, 4, 14, 7),
    background_size: int = 7,
) -> Sam2Spec:
    return Sam2Spec(
        image_size=1024,
        # The last stage's tokens, and the first stage's windows, of 8 tokens, are 32 pixels wide.
        multiple_of=32,
        embed_channels=256,
        encoder_width=width,
        encoder_heads=heads,
        blocks=blocks,
        window_sizes=window_sizes,
        global_attn_indexes=global_blocks,
        background_size=background_size,
    )


MODEL_SPECS: dict[str, ModelSpec] = {
    "sam_tiny": ViTSpec(
        image_size=256,
        multiple_of=16,
        encoder_width=192,
        encoder_depth=8,
        encoder_heads=6,
        window_size=8,
        global_attn_indexes=(1, 3, 5, 7),
        # Relative positions cost a quarter of the training speed at this size and the absolute ones suffice.
        use_rel_pos=False,
        embed_channels=128,
        decoder_heads=4,
        decoder_mlp_dim=256,
        iou_head_hidden_dim=128,
    ),
    "vit_b": _official(768, 12, 12, (2, 5, 8, 11), "sam_vit_b_"),
    "vit_l": _official(1024, 24, 16, (5, 11, 17, 23), "sam_vit_l_"),
    "vit_h": _official(1280, 32, 16, (7, 15, 23, 31), "sam_vit_h_"),
    "mobile_sam": TinyViTSpec(
        image_size=1024,
        multiple_of=16,
        embed_channels=256,
        stage_widths=(64, 128, 160, 320),
        stage_depths=(2, 2, 6, 2),
        stage_heads=(2, 4, 5, 10),
        stage_windows=(7, 7, 14, 7),
        decoder_heads=8,
        decoder_mlp_dim=2048,
        iou_head_hidden_dim=256,
        file_prefix="mobile_sam",
    ),
    # With random weights only. Some of its windows are padded at 128 px, as some of MobileSAM's are at 1024.
    "mobile_sam_mini": TinyViTSpec(
        image_size=128,
        multiple_of=16,
        embed_channels=32,
        stage_widths=(16, 16, 32, 32),
        stage_depths=(1, 1, 1, 1),
        stage_heads=(1, 1, 2, 2),
        stage_windows=(4, 4, 7, 4),
        decoder_heads=2,
        decoder_mlp_dim=32,
        iou_head_hidden_dim=32,
    ),
    "sam2_hiera_tiny": _sam2(96, 1, (1, 2, 7, 2), (5, 7, 9)),
    "sam2_hiera_small": _sam2(96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "sam2_hiera_base_plus": _sam2(112, 2, (2, 3, 16, 3), (12, 16, 20), background_size=14),
    "sam2_hiera_large": _sam2(144, 2, (2, 6, 36, 4), (23, 33, 43), window_sizes=(8, 4, 16, 8)),
    "sam3": Sam3Spec(
        image_size=1008,
        # Two patches: a detail path halves the image twice.
        multiple_of=28,
        embed_channels=256,
        patch_size=14,
        encoder_width=1024,
        encoder_depth=32,
        encoder_heads=16,
        encoder_mlp_dim=4736,
        window_size=24,
        global_attn_indexes=(7, 15, 23, 31),
        positions_size=24,
    ),
    # Miniatures, for tests and trials: nobody has trained them.
    "sam2_mini": Sam2Spec(
        image_size=128,
        multiple_of=32,
        embed_channels=32,
        decoder_heads=4,
        decoder_mlp_dim=64,
        iou_head_hidden_dim=32,
        encoder_width=16,
        encoder_heads=1,
        blocks=(1, 2, 3, 1),
        window_sizes=(8, 4, 6, 3),
        global_attn_indexes=(4,),
        background_size=7,
    ),
    "sam3_mini": Sam3Spec(
        image_size=112,
        multiple_of=28,
        embed_channels=32,
        decoder_heads=4,
        decoder_mlp_dim=64,
        iou_head_hidden_dim=32,
        patch_size=14,
        encoder_width=32,
        encoder_depth=4,
        encoder_heads=2,
        encoder_mlp_dim=96,
        window_size=3,
        global_attn_indexes=(1, 3),
        positions_size=3,
    ),
}


def find_spec(name: str, image_size: ImageSize = "native") -> ModelSpec:
    """Return the dimensions of a model at an image size.

    Args:
        name: a key of `MODEL_SPECS`.
        image_size: side of the square input in pixels, or "native".

    Raises:
        ConfigError: if there is no model of that name, or the image size does not suit it.
    """
    if name not in MODEL_SPECS:
        raise ConfigError(f"unknown model '{name}'; known: {', '.join(MODEL_SPECS)}")
    native = MODEL_SPECS[name]
    size = native.image_size if image_size == "native" else image_size
    step = native.multiple_of
    if size % step or size < 2 * step:
        raise ConfigError(
            f"model.image_size {size} is not a multiple of {step}, which {name} needs, of at least {2 * step}; "
            f"use native ({native.image_size}) or {_nearest_size(size, step)}"
        )
    return replace(native, image_size=size)


def _nearest_size(size: int, step: int) -> int:
    return max(2, round(size / step)) * step
