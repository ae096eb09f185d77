"""The size of SAM 3, as its tracker."""

from dataclasses import dataclass

from naslora_core.sam.specs.base import TrackerSpec


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


SPECS = {
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
        files="the folder, or sam3.pt in it,",
        source="huggingface.co/facebook/sam3",
    ),
    # A miniature for tests and trials: nobody has trained it.
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
