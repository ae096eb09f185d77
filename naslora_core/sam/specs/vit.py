"""The sizes of the original SAM, and the small one that this project has pre-trained."""

from dataclasses import dataclass

from naslora_core.sam.specs.base import ModelSpec


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

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return self.multiple_of

    @property
    def grid_size(self) -> int:
        """Side of the image grid, in patches."""
        return self.image_size // self.patch_size


def _official(width: int, depth: int, heads: int, global_blocks: tuple[int, ...], size: str) -> ViTSpec:
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
        files=f"sam_vit_{size}_*.pth",
        source="github.com/facebookresearch/segment-anything",
    )


SPECS = {
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
        files="models/sam_tiny.safetensors",
    ),
    "vit_b": _official(768, 12, 12, (2, 5, 8, 11), "b"),
    "vit_l": _official(1024, 24, 16, (5, 11, 17, 23), "l"),
    "vit_h": _official(1280, 32, 16, (7, 15, 23, 31), "h"),
}
