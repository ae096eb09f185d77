"""What a checkpoint layout is, and the registry of all."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from naslora_core.registry import Registry
from naslora_core.sam.specs import MODEL_SPECS, ModelSpec


class Size(NamedTuple):
    """How large a model is, decided from the shapes of its weights.

    Attributes:
        name: a value of `model.name`; "" if the project has no model of that size.
        seen: what the shapes say, in words: "12 blocks of width 768, 1024 px".
    """

    name: str
    seen: str


@dataclass(frozen=True)
class Converted:
    """Weights in the keys of a family's own implementation here.

    Attributes:
        weights: by the keys that strict loading expects. Tensors are those of the file: no copies.
        left_out: what was dropped, in words, with counts: "HQ token: 30 tensors".
        fresh: parts of the model that the file does not hold, as beginnings of keys: "mask_decoder".
    """

    weights: dict[str, Tensor]
    left_out: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One way to name the weights of a family.

    Wrappers, prefixes and precision are dealt with before: a layout sees tensors by name alone.

    Attributes:
        family: "sam", "mobile_sam", "sam2" or "sam3".
        matches: whether keys are of this layout. Of all layouts one at most says so: test a key that no other has.
        convert: weights of this layout in the family's own keys. Keys it does not know stay, so that strict loading
            names them. It raises ValueError with a reason if the weights contradict themselves.
        size: of what `convert` returned; asked for before strict loading, so any key may be missing.
    """

    family: str
    matches: Callable[[Set[str]], bool]
    convert: Callable[[Mapping[str, Tensor]], Converted]
    size: Callable[[Mapping[str, Tensor]], Size]


# By the name that people see: "Hugging Face SamModel". To add one, register it in a family's file, and import that file
# in this package's __init__.
LAYOUTS: Registry[Layout] = Registry("checkpoint layout")


def without(weights: Mapping[str, Tensor], what: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, Tensor], list[str]]:
    """Split off weights that a family has no place for.

    Args:
        weights: by name.
        what: beginnings of keys, by what they are in words.

    Returns:
        The others, and in words what was left out, with counts.
    """
    kept, left_out = dict(weights), []
    for words, beginnings in what.items():
        if gone := [key for key in kept if key.startswith(beginnings)]:
            left_out.append(f"{words}: {len(gone)} tensors")
        for key in gone:
            del kept[key]
    return kept, left_out


def absent_parts(weights: Iterable[str], parts: Iterable[str]) -> tuple[str, ...]:
    """Return which parts of a model have no weight at all.

    A part of which one tensor is there is damaged, not absent: strict loading names what is missing.

    Args:
        weights: keys.
        parts: their beginnings, up to the first dot.
    """
    present = {key.partition(".")[0] for key in weights}
    return tuple(part for part in parts if part not in present)


def count_blocks(weights: Iterable[str], beginning: str) -> int:
    """Return how many numbers follow the beginning of a key: of "blocks." the blocks."""
    return len({key.removeprefix(beginning).partition(".")[0] for key in weights if key.startswith(beginning)})


def size_of(fits: Callable[[ModelSpec], bool], seen: str) -> Size:
    """Return the size of the first model that fits, with what was seen of it in words."""
    return Size(next((name for name, spec in MODEL_SPECS.items() if fits(spec)), ""), seen)
