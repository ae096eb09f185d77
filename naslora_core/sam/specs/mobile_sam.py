"""The sizes of MobileSAM."""

from dataclasses import dataclass

from naslora_core.sam.specs.base import ModelSpec


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

    @property
    def grid_size(self) -> int:
        """Side of the embeddings, which have a place for each 16 x 16 pixels."""
        return self.image_size // 16


SPECS = {
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
        files="mobile_sam.pt",
        source="github.com/ChaoningZhang/MobileSAM",
    ),
    # A miniature for tests and trials: nobody has trained it. Some of its windows are padded at 128 px, as some of
    # MobileSAM's are at 1024.
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
}
