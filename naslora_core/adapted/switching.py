"""Switch between several adapters on one base model that is loaded once."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from naslora_core.adapted.saved import attach_adapter, describe_base, read_adapter_config, require_base, trains_base
from naslora_core.adapted.state import find_adapters
from naslora_core.config import ModelConfig
from naslora_core.errors import CheckpointError, ConfigError
from naslora_core.sam.checkpoint import load_base


@dataclass(frozen=True)
class _State:
    """The mask decoder and the layers, by name, of one adapter or of the base."""

    decoder: nn.Module
    layers: Mapping[str, nn.Module]


class SwitchableSam:
    """One base model in memory, with several adapters of which one is active at a time.

    An adapter brings its low-rank branches and its own mask decoder; the layers under them are the base's own
    objects, so that a switch moves references and copies nothing. The methods are called as those of PEFT's
    models are. For inference: nothing here is trainable.

    >>> switchable = SwitchableSam(params.model)
    >>> switchable.load_adapter("leaves", Path("artifacts/search_train/leaf_lesions"))
    >>> switchable.set_adapter("leaves")
    >>> predict = Predictor(switchable.sam, "auto")

    Args:
        model: the base that all adapters were trained on.

    Raises:
        CheckpointError: if the base is missing or damaged.

    Attributes:
        sam: the model as it answers at the moment, always the same object.
    """

    def __init__(self, model: ModelConfig) -> None:
        self._description = describe_base(model)
        self.sam = load_base(model).requires_grad_(False).eval()
        self._base_decoder = self.sam.mask_decoder
        self._adapters: dict[str, _State] = {}
        self._active: str | None = None

    @property
    def adapter_names(self) -> list[str]:
        """Names of the loaded adapters, in the order they were loaded."""
        return list(self._adapters)

    @property
    def active_adapter(self) -> str | None:
        """Name of the active adapter; None while the base model is used without one."""
        return self._active

    def load_adapter(self, name: str, folder: Path) -> None:
        """Load what stage search_train wrote to `folder`; it is not active before `set_adapter`.

        Raises:
            ConfigError: if an adapter of this name is loaded already.
            CheckpointError: if files are missing or damaged, or the adapter was trained on another base, or has
                trained parts of the base itself (neck, bitfit, full), which adapters here share.
        """
        if name in self._adapters:
            raise ConfigError(f"an adapter '{name}' is loaded already; choose another name for {folder}")
        config = read_adapter_config(folder)
        require_base(folder, config, self._description)
        if trains_base(folder, config):
            raise CheckpointError(
                f"{folder} was trained with adapter.method {config.method}, which changes layers that all adapters "
                "here share; load it alone, with Predictor.adapted"
            )
        with self.disable_adapter():
            self.sam.mask_decoder = copy.deepcopy(self._base_decoder)
            layers = attach_adapter(self.sam, folder, config)
            self.sam.requires_grad_(False)
            self._adapters[name] = _State(self.sam.mask_decoder, layers)

    def delete_adapter(self, name: str) -> None:
        """Remove an adapter from memory; if it was active, none is.

        Raises:
            ConfigError: if no adapter of this name is loaded.
        """
        self._require(name)
        if name == self._active:
            self._switch(None)
        del self._adapters[name]

    def set_adapter(self, name: str) -> None:
        """Make an adapter the active one.

        Raises:
            ConfigError: if no adapter of this name is loaded.
        """
        self._require(name)
        self._switch(name)

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Use the base model without adapter inside a `with` block; the active adapter is restored after it."""
        active = self._active
        self._switch(None)
        try:
            yield
        finally:
            self._switch(active)

    def _require(self, name: str) -> None:
        if name not in self._adapters:
            raise ConfigError(f"unknown adapter '{name}'; loaded: {', '.join(self._adapters) or 'none'}")

    def _switch(self, name: str | None) -> None:
        # An adapter that is left over from a folder that could not be read has to go as well.
        for layer, adapter in find_adapters(self.sam).items():
            self.sam.set_submodule(layer, adapter.base_layer)
        state = _State(self._base_decoder, {}) if name is None else self._adapters[name]
        # The model may have moved to another device since this adapter was loaded or active.
        device = self.sam.device
        for layer, module in state.layers.items():
            self.sam.set_submodule(layer, module.to(device))
        self.sam.mask_decoder = state.decoder.to(device)
        self._active = name
