"""Put layers under a budget into an image encoder: those that search, and those that are given."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from naslora_core.adapters.base import Adapter
from naslora_core.adapters.budget.architecture import Architecture, read_architecture, sections_of
from naslora_core.adapters.budget.cost import InferenceCost, LayerCosts, Limits, is_exact, spent
from naslora_core.adapters.budget.draw import draw_random, spread_evenly
from naslora_core.adapters.budget.layer import ChoosingLayer, FoundLayer, rank_levels
from naslora_core.adapters.budget.replay import blocks_of
from naslora_core.adapters.budget.search import BudgetSearch
from naslora_core.adapters.layers import find_layers, grid_of, replace_layers, targets_of
from naslora_core.config import NOTHING_GIVEN, AdapterConfig, SearchConfig
from naslora_core.errors import ConfigError
from naslora_core.geometry.windows import Windows
from naslora_core.ops import OPS, resolve_space


def is_budgeted(search: SearchConfig) -> bool:
    """Return whether layers choose or were given a choice, instead of mixing all operations."""
    return search.budget != "none" or search.from_ != NOTHING_GIVEN


def build_budgeted(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Wrap the layers of `adapter.target_modules`: as `search.from` says, and the others to be searched for or drawn.

    Without a budget there is no search: the layers that `search.from` does not hold stay as they are.

    Raises:
        ConfigError: if operations or ranks of an architecture do not fit, or nothing in the space merges exactly.
    """
    layers = find_layers(encoder, adapter.target_modules)
    given = {} if search.from_ == NOTHING_GIVEN else read_architecture(search.from_)
    if search.budget == "none":
        return attach_found(encoder, given, adapter)
    targets = targets_of(encoder, adapter.target_modules)
    if elsewhere := [name for name in given if name not in layers]:
        raise ConfigError(
            f"{search.from_} has {elsewhere[0]}, which adapter.target_modules {list(targets)} do not "
            "name; add it there, or set search.budget none to train the architecture as it is"
        )
    free = {name: layer for name, layer in layers.items() if name not in given}
    taken = spent_by(encoder, given)
    time = max(0.0, search.budget - 1 - taken.time)
    space, levels = _space(search, time), rank_levels(adapter.rank)
    costs = costs_of(encoder, free, space, levels)
    limits = Limits(time, max(0.0, _most_parameters(search.max_parameters, costs.values()) - taken.parameters))
    if search.alphas != "searched":
        seed = torch.initial_seed()
        drawn = spread_evenly(costs, limits) if search.alphas == "uniform" else draw_random(costs, limits, seed)
        return attach_found(encoder, {**given, **drawn}, adapter)
    found = attach_found(encoder, given, adapter)
    choosing = {
        name: ChoosingLayer(layer, adapter.lora_alpha, space, levels, sections_of(name), windows_of(encoder, name))
        for name, layer in free.items()
    }
    callback = BudgetSearch(choosing, costs, limits, blocks_of(encoder, choosing))
    for layer in choosing.values():
        layer.callback = callback
    replace_layers(encoder, choosing)
    ordered: dict[str, Adapter] = {name: (found | choosing)[name] for name in layers if name in found | choosing}
    return ordered


def attach_found(encoder: nn.Module, architecture: Architecture, adapter: AdapterConfig) -> dict[str, Adapter]:
    """Wrap the layers of an architecture that have a rank above 0, fresh.

    Raises:
        ConfigError: if it names a layer or an operation that there is not, or other projections than the layer has.
    """
    found: dict[str, Adapter] = {}
    for name, choice in architecture.items():
        try:
            layer = encoder.get_submodule(name)
        except AttributeError:
            layer = None
        if not isinstance(layer, nn.Linear) or tuple(choice.ranks) != sections_of(name):
            raise ConfigError(
                f"the architecture has {name} with ranks of {', '.join(choice.ranks)}, and the model has "
                f"{'no such linear layer' if not isinstance(layer, nn.Linear) else ', '.join(sections_of(name))}; "
                "search.from has to come from a search on the same model"
            )
        if choice.operation not in OPS:
            raise ConfigError(f"the architecture gives {name} {choice.operation}, which is none of {', '.join(OPS)}")
        if choice.rank:
            scaling = adapter.lora_alpha / adapter.rank
            found[name] = FoundLayer(layer, choice, scaling, windows_of(encoder, name))
    replace_layers(encoder, found)
    return found


def windows_of(encoder: nn.Module, name: str) -> Windows | None:
    """Return the windows that a layer sees one at a time; None where it sees the image."""
    grid = grid_of(encoder, name)
    return Windows(grid.window, grid.across) if grid.window else None


def costs_of(
    encoder: nn.Module, layers: Mapping[str, nn.Linear], space: tuple[str, ...], levels: tuple[int, ...]
) -> dict[str, LayerCosts]:
    """Return what the choices of some layers cost."""
    inference = InferenceCost.of(encoder)
    return {
        name: LayerCosts(
            inference.at(grid_of(encoder, name)),
            layer.in_features,
            layer.out_features,
            sections_of(name),
            space,
            levels,
        )
        for name, layer in layers.items()
    }


def spent_by(encoder: nn.Module, architecture: Architecture) -> Limits:
    """Return what an architecture costs in an encoder: time over the base's, and parameters of adapters."""
    return spent(architecture, costs_in(encoder, architecture))


def costs_in(encoder: nn.Module, architecture: Architecture) -> dict[str, LayerCosts]:
    """Return what the layers of an architecture cost in an encoder, with or without adapters."""
    layers = {}
    for name in architecture:
        layer = encoder.get_submodule(name)
        base = getattr(layer, "base_layer", layer)
        assert isinstance(base, nn.Linear)
        layers[name] = base
    return costs_of(encoder, layers, (), ())


def _most_parameters(setting: str | float, costs: Iterable[LayerCosts]) -> float:
    if isinstance(setting, str):
        return math.inf
    if setting >= 1:
        return setting
    return setting * sum(own.per_rank() * own.levels[-1] * len(own.sections) for own in costs)


def _space(search: SearchConfig, time: float) -> tuple[str, ...]:
    """Return the operations to choose from; where there is no time to spend, those that cost none."""
    space = resolve_space(search.space)
    free = tuple(name for name in space if is_exact(name))
    if not free:
        raise ConfigError(
            f"search.space {', '.join(space)} has nothing that merges exactly, so that search.budget {search.budget} "
            "cannot be kept; add skip_connect, or use search.space choices"
        )
    return space if time > 0 else free
