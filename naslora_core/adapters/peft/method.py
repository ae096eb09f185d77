"""Inject any Hugging Face PEFT method that adapts linear layers: `adapter.method: peft:<type>`.

Methods are named here only where placing their layers is not all: an upgrade of PEFT brings its new ones.
"""

import copy
import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from torch import nn

from naslora_core.adapters.base import METHODS, Adapter
from naslora_core.adapters.layers import find_layers, replace_layers
from naslora_core.adapters.peft.adalora import AdaLoRACallback
from naslora_core.adapters.peft.callback import PeftCallback
from naslora_core.adapters.peft.initialisation import EVACallback, LoRAGACallback
from naslora_core.adapters.peft.layer import PeftAdapter
from naslora_core.config import AdapterConfig, SearchConfig
from naslora_core.errors import ConfigError

# What PEFT leaves to its user's training loop, by type or initialisation.
_CALLBACKS: Mapping[str, type[PeftCallback]] = {
    "adalora": AdaLoRACallback,
    "eva": EVACallback,
    "lora_ga": LoRAGACallback,
}
_UNSUPPORTED = {
    "corda": "PEFT can place its layers only where training images are, so nobody could load it without them",
    "xlora": "it loads other adapters from wherever its options say",
}
# An adapter.json may come from anybody; with these options PEFT imports a module by its name, or loads a file.
_FORBIDDEN_OPTIONS = frozenset(
    {"auto_mapping", "base_model_name_or_path", "megatron_config", "megatron_core", "revision", "runtime_config"}
)


@METHODS.register("peft")
def add_peft_adapters(encoder: nn.Module, adapter: AdapterConfig, search: SearchConfig) -> dict[str, Adapter]:
    """Inject PEFT's layers, and wrap each as an `Adapter`.

    `adapter.rank` and `adapter.lora_alpha` become `r` and `lora_alpha` where a method has them; `adapter.options`
    are the other arguments of its configuration, and win over both.

    Raises:
        ConfigError: if PEFT is not installed, does not know the method or refuses the options.
        InjectionError: if `target_modules` match no layer.
    """
    layers = find_layers(encoder, adapter.target_modules)
    kind = _callback_of(adapter)
    get_peft_model, config = _configure(adapter, kind, list(layers))
    replace_layers(encoder, {name: copy.deepcopy(layer) for name, layer in layers.items()})
    try:
        with warnings.catch_warnings():
            # Advice for EVA that would leave the layers without weights until they have seen images.
            warnings.filterwarnings("ignore", ".*low_cpu_mem_usage=False", UserWarning)
            model = get_peft_model(encoder, config).base_model
    except Exception as error:
        replace_layers(encoder, layers)
        raise _refused(adapter, error) from error
    # PEFT's note that the model has an adapter; a later adapter on the same base is not a second one on top.
    del encoder.peft_config
    tuners = {name: encoder.get_submodule(name) for name in layers}
    callback = kind(model, list(tuners.values())) if kind else None
    adapters: dict[str, Adapter] = {name: PeftAdapter(layer, tuners[name], callback) for name, layer in layers.items()}
    replace_layers(encoder, adapters)
    return adapters


def _callback_of(adapter: AdapterConfig) -> type[PeftCallback] | None:
    """Return the callback of a method; None if injecting its layers is all it needs.

    Raises:
        ConfigError: if the method needs what is not done here.
    """
    names: list[Any] = [_type_of(adapter), adapter.options.get("init_lora_weights")]
    for name in names:
        if name in _UNSUPPORTED:
            raise ConfigError(f"adapter.method {adapter.method} with {name}: {_UNSUPPORTED[name]}; choose another one")
    return next((_CALLBACKS[name] for name in names if name in _CALLBACKS), None)


def _configure(adapter: AdapterConfig, kind: type[PeftCallback] | None, layers: list[str]) -> tuple[Any, Any]:
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
        entry.value.lower(): PEFT_TYPE_TO_CONFIG_MAPPING[entry] for entry in PEFT_TYPE_TO_TUNER_MAPPING
    }
    name = _type_of(adapter)
    if name not in known:
        raise ConfigError(f"adapter.method {adapter.method} is no method of the installed PEFT; known: {sorted(known)}")
    if forbidden := sorted(_FORBIDDEN_OPTIONS & adapter.options.keys()):
        raise ConfigError(f"adapter.options {', '.join(forbidden)} may load code or files; leave them out")
    if kind is None:
        fields = {field.name for field in dataclasses.fields(known[name])}
        sizes = {"r": adapter.rank, "lora_alpha": adapter.lora_alpha}
        settings = {key: value for key, value in sizes.items() if key in fields} | adapter.options
    else:
        settings = kind.settings(adapter)
    try:
        return get_peft_model, known[name](target_modules=layers, **settings)
    except (TypeError, ValueError) as error:
        raise _refused(adapter, error) from error


def _type_of(adapter: AdapterConfig) -> str:
    return adapter.method.partition(":")[2]


def _refused(adapter: AdapterConfig, error: Exception) -> ConfigError:
    return ConfigError(
        f"PEFT refuses {adapter.method} with adapter.options {adapter.options}: {error}; "
        "its documentation says which options this method needs"
    )
