"""Take weights out of what training frameworks put around them: dictionaries, prefixes, half precision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from naslora_core.errors import few
from naslora_core.sam.layouts.layout import LAYOUTS

# Of Lightning and many others; of Meta's repositories; of torch_em, thus micro-sam; of torch's tutorials.
_WRAPPERS = ("state_dict", "model", "model_state", "model_state_dict")
_PREFIXES = ("module.", "model.", "sam.", "net.")
_DEEPEST = 3


@dataclass(frozen=True)
class Unwrapped:
    """Tensors by name, free of what was around them.

    Attributes:
        weights: tensors by name.
        layout: the one whose keys these are; "" if there is none.
        taken_off: wrappers and prefixes, from the outside in: ("state_dict", "model.").
        left_out: what else was there, in words.
    """

    weights: dict[str, Tensor]
    layout: str
    taken_off: tuple[str, ...]
    left_out: tuple[str, ...]


def unwrap(content: object) -> Unwrapped:
    """Find the weights in what a file holds.

    Raises:
        ValueError: if no tensors by name are there; it says what is.
    """
    inner: object = content
    wrappers: list[str] = []
    left_out: list[str] = []
    while isinstance(inner, Mapping) and (name := _wrapper_of(inner)) and len(wrappers) < _DEEPEST:
        if others := [str(key) for key in inner if key != name]:
            left_out.append(f"beside the weights: {few(others)}")
        inner = inner[name]
        wrappers.append(name)
    if not isinstance(inner, Mapping):
        raise ValueError(f"it holds a {type(inner).__name__}, expected tensors by name")
    strange = [key for key, value in inner.items() if not isinstance(key, str) or not _is_dense(value)]
    if strange or not inner:
        raise ValueError(f"it holds something else than tensors by name: {strange[:3] if strange else 'nothing'}")
    weights: dict[str, Tensor] = dict(inner)
    for prefix, stripped in _stripped(weights):
        layout = next((name for name in LAYOUTS if LAYOUTS[name].matches(stripped.keys())), "")
        if layout:
            if others := [key for key in weights if not key.startswith(prefix)]:
                left_out.append(f"outside of {prefix}*: {len(others)} tensors ({few(others, 3)})")
            return Unwrapped(stripped, layout, (*wrappers, *((prefix,) if prefix else ())), tuple(left_out))
    return Unwrapped(weights, "", tuple(wrappers), tuple(left_out))


def in_float32(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return weights with every floating point tensor in float32, and the precision they had: "float16"."""
    kinds = sorted({_name(value.dtype) for value in weights.values() if value.is_floating_point()})
    # A tensor that has the type already is not copied.
    converted = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    return converted, " and ".join(kinds)


def _is_dense(value: object) -> bool:
    return torch.is_tensor(value) and value.layout is torch.strided and not (value.is_quantized or value.is_meta)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _wrapper_of(content: Mapping[object, object]) -> str:
    return next((name for name in _WRAPPERS if isinstance(content.get(name), Mapping)), "")


def _stripped(weights: Mapping[str, Tensor], prefix: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield weights without known prefixes: of none first, then of every chain of some that keys begin with."""
    yield prefix, dict(weights)
    if prefix.count(".") < _DEEPEST:
        for begin in _PREFIXES:
            if inner := {key.removeprefix(begin): weights[key] for key in weights if key.startswith(begin)}:
                yield from _stripped(inner, prefix + begin)
