"""Build a model of any family and size, with random weights or with any."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from naslora_core.sam.families.model import Sam
from naslora_core.sam.specs import Sam2Spec, Sam3Spec, TinyViTSpec, ViTSpec, find_spec

__all__ = ["Sam", "WithoutRandomWeights", "build_sam", "normalise"]

# What all that torch.nn.init draws or fills comes down to.
_FILLS = frozenset(getattr(Tensor, name) for name in ("uniform_", "normal_", "erfinv_", "fill_", "zero_", "clamp_"))


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


class WithoutRandomWeights(TorchFunctionMode):
    """Inside a `with` block modules are built whose parameters may have any values, for weights that are loaded next.

    Nothing is drawn for them, which takes longer than loading, nor does their memory become theirs before it is used.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Leave parameters as they are, and run everything else."""
        kwargs = kwargs or {}
        # Some functions of torch.nn.init come here themselves, and call the tensor's methods where nobody is asked.
        filled = next(iter((*args, *kwargs.values())), None)
        if isinstance(filled, nn.Parameter) and (func in _FILLS or _module_of(func) == nn.init.__name__):
            return filled
        return func(*args, **kwargs)


def _module_of(func: Callable[..., Any]) -> str | None:
    # What reads an attribute, such as `requires_grad`, is in none.
    return getattr(func, "__module__", None)


def normalise(sam: Sam, images: torch.Tensor) -> torch.Tensor:
    """Return images as a model's encoder expects them.

    Args:
        sam: of any family.
        images: (B, 3, H, W), RGB in 0..255, any dtype.

    Returns:
        (B, 3, H, W) float32, zero mean and unit variance by the family's constants.
    """
    return (images.float() - sam.pixel_mean) / sam.pixel_std
