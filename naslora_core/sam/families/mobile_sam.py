"""MobileSAM: a TinyViT in place of SAM's image encoder, for small devices."""

from typing import Any

from naslora_core.errors import ConfigError
from naslora_core.sam.families.prompted import PromptedSam, prompted_parts
from naslora_core.sam.families.tiny_vit import TinyViTEncoder
from naslora_core.sam.specs import TinyViTSpec


class MobileSam(PromptedSam):
    """MobileSAM (arXiv:2306.14289): SAM's prompt encoder and mask decoder behind a TinyViT."""

    family = "mobile_sam"


def build(spec: TinyViTSpec) -> MobileSam:
    """Build a MobileSAM with random weights; `mobile_sam_keys` has the authors' names for them.

    Raises:
        ConfigError: if timm is not installed.

    Source: arXiv:2306.14289; the encoder's modules are timm's, all others segment-anything's.
    """
    return MobileSam(
        TinyViTEncoder(_network(spec), spec.image_size, spec.embed_channels), **prompted_parts(spec, spec.grid_size)
    )


def _network(spec: TinyViTSpec) -> Any:
    try:
        from timm.models.tiny_vit import TinyVit
    except ImportError as error:
        raise ConfigError(
            f"model.name is a MobileSAM, which needs timm ({error}); install it: pip install 'naslora[hf]'"
        ) from error
    return TinyVit(
        num_classes=0,
        embed_dims=spec.stage_widths,
        depths=spec.stage_depths,
        num_heads=spec.stage_heads,
        window_sizes=spec.stage_windows,
        drop_path_rate=0.0,
    )
