"""Find the adapters in a model, and the tensors that belong to them or are trained."""

from torch import Tensor, nn

from naslora_core.adapters.base import Adapter


def find_adapters(module: nn.Module) -> dict[str, Adapter]:
    """Return the adapters in a model by the name of the layer they replaced."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, Adapter)}


def adapter_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model's adapters without their base layers, by state-dict key."""
    return {
        f"{name}.{key}": value
        for name, adapter in find_adapters(module).items()
        for key, value in adapter.own_state().items()
    }


def trainable_state(module: nn.Module) -> dict[str, Tensor]:
    """Return all that training may change in a model: the adapters' tensors, and every trainable parameter.

    Frozen alphas, temperature and pressure are among it. `module.load_state_dict(..., strict=False)` takes it back.
    """
    learning = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    return adapter_state(module) | {key: value for key, value in module.state_dict().items() if key in learning}


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of all that training may change, independent of later steps."""
    return {name: value.detach().clone() for name, value in trainable_state(module).items()}
