"""Any method of Hugging Face PEFT that adapts linear layers, as `adapter.method: peft:<type>`.

Nothing here names a method that works: an upgrade of PEFT brings its new ones.
"""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from naslora_core.adapters.base import METHODS, Adapter
from naslora_core.adapters.layers import find_layers, put_layers
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import ConfigError, MergeError

# What PEFT leaves to its user's training loop, by type or initialisation.
_NOT_HERE = {
    "adalora": "its ranks move only if the training loop calls its allocator, which this one does not",
    "eva": "it is computed from activations of training images before training, which is not done here",
    "corda": "it is computed from activations of training images before training, which is not done here",
    "xlora": "it loads other adapters from wherever its options say",
    "lora_ga": "it is computed from gradients of training images before training, which is not done here",
}


# An adapter.json may come from a stranger; with these options PEFT imports a module by its name, or loads a file.
_FORBIDDEN_OPTIONS = frozenset(
    {"auto_mapping", "base_model_name_or_path", "megatron_config", "megatron_core", "revision", "runtime_config"}
)


class PeftAdapter(Adapter):
    """A layer of PEFT beside the frozen one it adapts.

    Args:
        base_layer: the layer of the base model; never changed.
        tuner: PEFT's layer around a copy of it. Where an initialisation has changed the copy (PiSSA, OLoRA), the
            copy belongs to the adapter and is saved with it; else both share their tensors.
    """

    def __init__(self, base_layer: nn.Linear, tuner: Any) -> None:
        super().__init__(base_layer)
        self.tuner = tuner
        inner = tuner.get_base_layer()
        self._shares_base = torch.equal(inner.weight, base_layer.weight)
        if self._shares_base:
            inner.weight, inner.bias = base_layer.weight, base_layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_features) to (B, H, W, out_features)."""
        result: Tensor = self.tuner(x)
        return result

    def delta_weight(self) -> Tensor:
        """Return what PEFT's own merge changes in the weight, (out_features, in_features), float64.

        Raises:
            MergeError: if PEFT cannot merge this method.
        """
        return self._merged().weight.detach().double() - self.base_layer.weight.detach().double()

    def delta_bias(self) -> Tensor | None:
        """Return what PEFT's own merge changes in the bias, (out_features,), float64; None without a bias."""
        if self.base_layer.bias is None:
            return None
        return self._merged().bias.detach().double() - self.base_layer.bias.detach().double()

    def own_state(self) -> dict[str, Tensor]:
        """Return PEFT's tensors, with the weights under them where an initialisation has changed those."""
        state = super().own_state()
        if not self._shares_base:
            return state
        return {key: value for key, value in state.items() if not key.startswith("tuner.base_layer.")}

    def _merged(self) -> nn.Linear:
        tuner: Any = copy.deepcopy(self.tuner)
        try:
            tuner.merge(safe_merge=True)
        # What cannot be merged says so in as many ways as there are methods.
        except Exception as error:
            name = type(self.tuner).__module__.split(".")[-2]
            raise MergeError(f"PEFT cannot merge {name}: {error}; use the adapted model as it is") from error
        layer: nn.Linear = tuner.get_base_layer()
        return layer


@METHODS.register("peft")
def add_peft_adapters(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Let PEFT place its layers, and hold each as an adapter.

    `adapter.rank` and `adapter.lora_alpha` become `r` and `lora_alpha` where a method has them; `adapter.options`
    are the other arguments of its configuration, and win over both.

    Raises:
        ConfigError: if PEFT is not installed, does not know the method or refuses the options.
        InjectionError: if `target_modules` match no layer.
    """
    layers = find_layers(encoder, adapter.target_modules)
    get_peft_model, config = _configure(adapter, list(layers))
    put_layers(encoder, {name: copy.deepcopy(layer) for name, layer in layers.items()})
    try:
        get_peft_model(encoder, config)
    except Exception as error:
        put_layers(encoder, layers)
        raise _refused(adapter, error) from error
    # PEFT's note that the model has an adapter; a later adapter on the same base is not a second one on top.
    del encoder.peft_config
    adapters: dict[str, Adapter] = {
        name: PeftAdapter(layer, encoder.get_submodule(name)) for name, layer in layers.items()
    }
    put_layers(encoder, adapters)
    return adapters


def _configure(adapter: AdapterConfig, layers: list[str]) -> tuple[Any, Any]:
    """Return PEFT's `get_peft_model` and the configuration to call it with."""
    try:
        from peft import get_peft_model
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
    except ImportError as error:
        raise ConfigError(
            f"adapter.method {adapter.method} needs Hugging Face PEFT, which is not installed: "
            "pip install 'naslora[peft]'"
        ) from error
    known: dict[str, Any] = {
        kind.value.lower(): PEFT_TYPE_TO_CONFIG_MAPPING[kind] for kind in PEFT_TYPE_TO_TUNER_MAPPING
    }
    name = adapter.method.partition(":")[2]
    if name not in known:
        raise ConfigError(f"adapter.method {adapter.method} is no method of the installed PEFT; known: {sorted(known)}")
    for wanted in (name, adapter.options.get("init_lora_weights")):
        if wanted in _NOT_HERE:
            raise ConfigError(f"adapter.method {adapter.method} with {wanted}: {_NOT_HERE[wanted]}; choose another one")
    if forbidden := sorted(_FORBIDDEN_OPTIONS & adapter.options.keys()):
        raise ConfigError(f"adapter.options {', '.join(forbidden)} may load code or files; leave them out")
    fields = {field.name for field in dataclasses.fields(known[name])}
    sizes = {"r": adapter.rank, "lora_alpha": adapter.lora_alpha}
    settings = {key: value for key, value in sizes.items() if key in fields} | adapter.options
    try:
        return get_peft_model, known[name](target_modules=layers, **settings)
    except (TypeError, ValueError) as error:
        raise _refused(adapter, error) from error


def _refused(adapter: AdapterConfig, error: Exception) -> ConfigError:
    return ConfigError(
        f"PEFT refuses {adapter.method} with adapter.options {adapter.options}: {error}; "
        "its documentation says which options this method needs"
    )
