"""All models by the names that `model.name` has."""

from dataclasses import replace

from naslora_core.errors import ConfigError
from naslora_core.sam.specs import mobile_sam, sam2, sam3, vit
from naslora_core.sam.specs.base import ImageSize, ModelSpec

MODEL_SPECS: dict[str, ModelSpec] = {**vit.SPECS, **mobile_sam.SPECS, **sam2.SPECS, **sam3.SPECS}


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
