"""Find weights in what training frameworks put around them: dictionaries, prefixes, half precision."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from naslora_core.errors import few
from naslora_core.sam.layouts.layout import LAYOUTS

# Names that dictionaries and prefixes of the model have that was trained, in files that hold an average of it, too: of
# Lightning and many others, of Meta's repositories, of torch_em, thus micro-sam, of DeepSpeed, of torch.compile.
_MAIN = frozenset(
    ("state_dict", "model", "model_state", "model_state_dict", "module", "sam", "sam_model", "net", "network")
    + ("network_weights", "weights", "params", "_orig_mod")
)
# Of dictionaries, then of parts of a name that dots separate.
_DEEPEST, _LONGEST = 4, 6


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


@dataclass(frozen=True)
class _Place:
    """Where weights of a known layout are: in which dictionaries, from the outside in, and after which prefix."""

    wrappers: tuple[str, ...]
    prefix: str
    layout: str
    weights: dict[str, Tensor]

    @property
    def is_main(self) -> bool:
        return _MAIN.issuperset((*self.wrappers, *self.prefix.split(".")[:-1]))

    @property
    def taken_off(self) -> tuple[str, ...]:
        return (*self.wrappers, *((self.prefix,) if self.prefix else ()))


def unwrap(content: object) -> Unwrapped:
    """Find the weights in what a file holds, in whatever dictionaries and after whatever prefix.

    Where several models are, such as one and its moving average, that of the names in common use is taken.

    Raises:
        ValueError: if no tensors by name are there, or models that cannot be told apart; it says what is.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, expected tensors by name; save it again")
    dictionaries = dict(_dictionaries(content))
    if not any(dictionaries.values()):
        found = [str(key) for key in content][:3] or "nothing"
        raise ValueError(f"it holds something else than tensors by name: {found}; save it again")
    places = [place for wrappers, tensors in dictionaries.items() for place in _places(wrappers, tensors)]
    if not places:
        wrappers, tensors = max(dictionaries.items(), key=lambda entry: len(entry[1]))
        return Unwrapped(tensors, "", wrappers, ())
    place = _choose(places)
    return Unwrapped(place.weights, place.layout, place.taken_off, tuple(_left_out(content, place, dictionaries)))


def in_float32(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return weights with every floating point tensor in float32, and the precision they had: "float16".

    Raises:
        ValueError: if there are none.
    """
    kinds = sorted({_name(value.dtype) for value in weights.values() if value.is_floating_point()})
    if not kinds:
        found = " and ".join(sorted({_name(value.dtype) for value in weights.values()}))
        raise ValueError(f"its tensors are {found}, expected floating point; give the model before it was quantised")
    # A tensor that has the type already is not copied.
    converted = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    return converted, " and ".join(kinds)


def _is_dense(value: object) -> bool:
    return torch.is_tensor(value) and value.layout is torch.strided and not (value.is_quantized or value.is_meta)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dictionaries(
    content: Mapping[object, object], wrappers: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Yield the tensors of every dictionary in a file, by the names of the dictionaries around them."""
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and torch.is_tensor(value)}
    if strange := [key for key, value in tensors.items() if not _is_dense(value)]:
        raise ValueError(
            f"it holds tensors that are quantised, sparse or without values: {few(strange, 3)}; save it with dense ones"
        )
    yield wrappers, tensors
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping) and len(wrappers) < _DEEPEST:
            yield from _dictionaries(value, (*wrappers, key))


def _places(wrappers: tuple[str, ...], weights: Mapping[str, Tensor], prefix: str = "") -> Iterator[_Place]:
    """Yield where in a dictionary weights of a known layout are; what is inside of such a place is part of it."""
    if layout := _layout_of(weights.keys()):
        yield _Place(wrappers, prefix, layout, dict(weights))
    elif prefix.count(".") < _LONGEST:
        groups: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for key, value in weights.items():
            begin, dot, rest = key.partition(".")
            if dot:
                groups[begin][rest] = value
        for begin, inner in groups.items():
            yield from _places(wrappers, inner, f"{prefix}{begin}.")


def _layout_of(keys: Set[str]) -> str:
    return next((name for name in LAYOUTS if LAYOUTS[name].matches(keys)), "")


def _choose(places: list[_Place]) -> _Place:
    fitting = [place for place in places if place.is_main] or places
    first, *others = fitting
    if different := [place for place in others if not _are_same(first.weights, place.weights)]:
        names = few(" ".join(place.taken_off) or "the outermost names" for place in (first, *different))
        raise ValueError(f"it holds {1 + len(different)} models ({names}); save the one you mean in a file of its own")
    return first


def _are_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def _left_out(
    content: Mapping[object, object], place: _Place, dictionaries: Mapping[tuple[str, ...], Mapping[str, Tensor]]
) -> Iterator[str]:
    inner: object = content
    for name in (*place.wrappers, ""):
        assert isinstance(inner, Mapping)
        # In the innermost dictionary these are what is no tensor.
        others = [key for key, value in inner.items() if (key != name if name else not torch.is_tensor(value))]
        if others:
            yield f"beside the weights: {few(others)}"
        inner = inner.get(name)
    if others := [key for key in dictionaries[place.wrappers] if not key.startswith(place.prefix)]:
        yield f"outside of {place.prefix}*: {len(others)} tensors ({few(others, 3)})"
