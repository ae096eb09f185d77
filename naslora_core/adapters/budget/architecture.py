"""An architecture as a table: of every layer the operation and the rank of each projection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from naslora_core.config import LARGEST_RANK, Section
from naslora_core.errors import ConfigError
from naslora_core.reading import read_model

FORMAT = 1
# The projections of SAM's fused layer, in the order of its output channels; any other layer is one projection.
SECTIONS = {"qkv": ("q", "k", "v")}


class LayerChoice(Section):
    """What one layer was given.

    Attributes:
        operation: a name of `OPS`, or "singular_values".
        ranks: by projection; 0 leaves a projection as it is, and a layer of zeros alone has no branch.
    """

    operation: str
    ranks: dict[str, Annotated[int, Field(ge=0, le=LARGEST_RANK)]]

    @property
    def rank(self) -> int:
        """The rank of the layer's down-projection, which its projections share: the largest of theirs."""
        return max(self.ranks.values())

    def parameters(self, in_features: int, out_features: int, of_operation: int) -> int:
        """Return how many numbers the layer trains: its down-projection, its up-projections and its operation."""
        if not self.rank:
            return 0
        if self.operation == "singular_values":
            return self.rank
        up = out_features // len(self.ranks) * sum(self.ranks.values())
        return self.rank * in_features + up + of_operation


# By the name of the layer, "blocks.0.attn.qkv", from the image encoder on.
Architecture = Mapping[str, LayerChoice]


class _Entry(Section):
    layer: str
    operation: str
    ranks: dict[str, Annotated[int, Field(ge=0, le=LARGEST_RANK)]]


class _File(Section):
    model_config = {"extra": "ignore", "frozen": True}

    layers: tuple[dict[str, Any], ...]


def sections_of(layer: str) -> tuple[str, ...]:
    """Return the projections that a layer fuses, by the last part of its name; its own name if it is only one."""
    last = layer.rpartition(".")[2]
    return SECTIONS.get(last, (last,))


def read_architecture(path: Path) -> dict[str, LayerChoice]:
    """Return the layers of an architecture file, or of the genotype.json of a search under a budget.

    Raises:
        ConfigError: if it cannot be read, or holds no choices.
    """
    remedy = "search.from names a genotype.json of a search under a budget, or architectures/free.json"
    content = read_model(path, _File, FORMAT, remedy, ConfigError)
    found: dict[str, LayerChoice] = {}
    for number, layer in enumerate(content.layers):
        if missing := [name for name in ("layer", "operation", "ranks") if name not in layer]:
            raise ConfigError(
                f"{path}: layer {number + 1} has no {', '.join(missing)}, as it comes from a search without "
                f"search.budget; {remedy}"
            )
        try:
            entry = _Entry.model_validate({name: layer[name] for name in _Entry.model_fields})
        except ValueError as error:
            raise ConfigError(f"{path}: layer {number + 1} is no choice: {error}; {remedy}") from error
        found[entry.layer.removeprefix("image_encoder.")] = LayerChoice(operation=entry.operation, ranks=entry.ranks)
    return found
