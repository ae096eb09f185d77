"""Build a model of any family and size with random weights."""

import torch

from naslora_core.sam.families.model import Sam
from naslora_core.sam.specs import Sam2Spec, Sam3Spec, TinyViTSpec, ViTSpec, find_spec

__all__ = ["Sam", "build_sam", "normalise"]


def build_sam(name: str, image_size: int | None = None) -> Sam:
    """Build a model with random weights, in evaluation mode; of each family see its module's `build`.

    Args:
        name: a key of `MODEL_SPECS`.
        image_size: side of the square input in pixels; None is what the model was trained with.

    Raises:
        ConfigError: if there is no model of that name, the image size does not suit it, or a package that the family
            needs is not installed.
    """
    spec = find_spec(name, "native" if image_size is None else image_size)
    # A family's packages are imported once a model of it is built.
    if isinstance(spec, ViTSpec):
        from naslora_core.sam.families import vit

        return vit.build(spec).eval()
    if isinstance(spec, TinyViTSpec):
        from naslora_core.sam.families import mobile_sam

        return mobile_sam.build(spec).eval()
    if isinstance(spec, Sam2Spec):
        from naslora_core.sam.families import sam2

        return sam2.build(spec).eval()
    if isinstance(spec, Sam3Spec):
        from naslora_core.sam.families import sam3

        return sam3.build(spec).eval()
    raise TypeError(f"no family builds a {type(spec).__name__}")


def normalise(sam: Sam, images: torch.Tensor) -> torch.Tensor:
    """Return images as a model's encoder expects them.

    Args:
        sam: of any family.
        images: (B, 3, H, W), RGB in 0..255, any dtype.

    Returns:
        (B, 3, H, W) float32, zero mean and unit variance by the family's constants.
    """
    return (images.float() - sam.pixel_mean) / sam.pixel_std
