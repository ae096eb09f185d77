"""Place adapters into a model."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from naslora_core.adapters.base import Adapter
from naslora_core.errors import InjectionError


def inject(
    module: nn.Module, target_modules: Sequence[str], wrap: Callable[[nn.Linear], Adapter]
) -> dict[str, Adapter]:
    """Replace every linear layer whose name ends in one of `target_modules` by its adapter.

    Nothing is changed unless every target matches.

    Args:
        module: changed in place.
        target_modules: ends of dotted layer names, as in PEFT: "attn.qkv".
        wrap: builds the adapter around a layer.

    Returns:
        The adapters by the name of the layer they replaced, in the order of the model.

    Raises:
        InjectionError: if a target matches no layer, or one that is not linear.
    """
    matches = {
        name: layer
        for name, layer in module.named_modules()
        if any(name == target or name.endswith(f".{target}") for target in target_modules)
    }
    missing = [t for t in target_modules if not any(name == t or name.endswith(f".{t}") for name in matches)]
    if missing:
        linear = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
        examples = sorted({".".join(name.split(".")[-2:]) for name in linear})[:6]
        raise InjectionError(
            f"adapter.target_modules {missing} match no layer; use the end of a layer's name, for example {examples}"
        )
    for name, layer in matches.items():
        if not isinstance(layer, nn.Linear):
            raise InjectionError(
                f"adapter.target_modules match {name}, a {type(layer).__name__}; only linear layers can be adapted"
            )
    adapters: dict[str, Adapter] = {}
    for name, layer in matches.items():
        assert isinstance(layer, nn.Linear)
        adapters[name] = wrap(layer)
        parent, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, adapters[name])
    return adapters


def find_adapters(module: nn.Module) -> dict[str, Adapter]:
    """Return the adapters in a model by the name of the layer they replaced."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, Adapter)}


def adapter_state(module: nn.Module) -> dict[str, Tensor]:
    """Return everything in a model that belongs to its adapters and not to its base layers, by state-dict key."""
    adapters = find_adapters(module)
    return {
        key: value
        for key, value in module.state_dict().items()
        if any(key.startswith(f"{name}.") and not key.startswith(f"{name}.base_layer.") for name in adapters)
    }
