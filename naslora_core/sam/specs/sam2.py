"""The sizes of SAM 2 and SAM 2.1."""

from dataclasses import dataclass

from naslora_core.sam.specs.base import TrackerSpec


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


def _published(
    size: str,
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
        files=f"the folder, or sam2.1_hiera_{size}.pt in it,",
        source=f"huggingface.co/facebook/sam2.1-hiera-{size.replace('_', '-')}",
    )


SPECS = {
    "sam2_hiera_tiny": _published("tiny", 96, 1, (1, 2, 7, 2), (5, 7, 9)),
    "sam2_hiera_small": _published("small", 96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "sam2_hiera_base_plus": _published("base_plus", 112, 2, (2, 3, 16, 3), (12, 16, 20), background_size=14),
    "sam2_hiera_large": _published("large", 144, 2, (2, 6, 36, 4), (23, 33, 43), window_sizes=(8, 4, 16, 8)),
    # A miniature for tests and trials: nobody has trained it.
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
}
