"""Find the layers a method adapts, and replace them by its adapters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from torch import nn

from naslora_core.adapters.base import Adapter, Method
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import InjectionError
from naslora_core.geometry.token_grid import TokenGrid

# Wraps one layer.
LayerBuilder = Callable[[nn.Linear, AdapterConfig, SearchConfig], Adapter]
# Ends of dotted layer names, as in PEFT, "attn.qkv"; "auto" are those that suit the encoder's family.
Targets = Sequence[str] | Literal["auto"]


def in_every_layer(build: LayerBuilder) -> Method:
    """Turn a function that wraps one layer into a method that wraps every layer of `adapter.target_modules`."""

    def method(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
        return inject(encoder, adapter.target_modules, lambda layer: build(layer, adapter, search))

    return method


def inject(module: nn.Module, target_modules: Targets, wrap: Callable[[nn.Linear], Adapter]) -> dict[str, Adapter]:
    """Replace every linear layer whose name ends in one of `target_modules` by its adapter.

    Nothing is changed unless every target matches.

    Args:
        module: changed in place.
        target_modules: see `Targets`.
        wrap: builds the adapter around a layer.

    Returns:
        The adapters by the name of the layer they replaced, in the order of the model.

    Raises:
        InjectionError: if a target matches no layer, or one that is not linear.
    """
    adapters = {name: wrap(layer) for name, layer in find_layers(module, target_modules).items()}
    replace_layers(module, adapters)
    return adapters


def grid_of(encoder: nn.Module, layer: str) -> TokenGrid:
    """Return what a linear layer of an image encoder sees, by its name."""
    described: Any = encoder
    grid: TokenGrid = described.grid_of(layer)
    return grid


def targets_of(encoder: nn.Module, target_modules: Targets) -> tuple[str, ...]:
    """Return the ends of the names of layers to adapt, "auto" resolved."""
    described: Any = encoder
    return tuple(described.default_targets if target_modules == "auto" else target_modules)


def find_layers(module: nn.Module, target_modules: Targets) -> dict[str, nn.Linear]:
    """Return the linear layers whose names end in one of `target_modules`, by name.

    Raises:
        InjectionError: if a target matches no layer, or one that is not linear.
    """
    targets = targets_of(module, target_modules)
    matches = {
        name: layer
        for name, layer in module.named_modules()
        if any(name == target or name.endswith(f".{target}") for target in targets)
    }
    missing = [t for t in targets if not any(name == t or name.endswith(f".{t}") for name in matches)]
    if missing:
        linear = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
        examples = sorted({".".join(name.split(".")[-2:]) for name in linear})[:6]
        raise InjectionError(
            f"adapter.target_modules {missing} match no layer; use the end of a layer's name, for example {examples}"
        )
    layers: dict[str, nn.Linear] = {}
    for name, layer in matches.items():
        if not isinstance(layer, nn.Linear):
            raise InjectionError(
                f"adapter.target_modules match {name}, a {type(layer).__name__}; only linear layers can be adapted"
            )
        layers[name] = layer
    return layers


def replace_layers(module: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    """Replace submodules of a model by dotted name, in place."""
    for name, layer in layers.items():
        module.set_submodule(name, layer)
