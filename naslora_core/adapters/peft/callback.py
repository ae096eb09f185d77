"""The base of the training hooks that some PEFT methods need beside their layers."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from naslora_core.adapters.callback import TrainingCallback
from naslora_core.config import AdapterConfig

# The name PEFT gives to the only adapter of a model.
ADAPTER_NAME = "default"


class PeftCallback(TrainingCallback):
    """Training hooks of a PEFT method.

    Args:
        model: PEFT's own model around the encoder, which knows the configuration.
        tuners: its layers, in the order of the encoder.

    Attributes:
        changes_base: whether the weights under the layers change before training, so that an adapter keeps and
            saves its own.
    """

    changes_base = False

    def __init__(self, model: Any, tuners: Sequence[nn.Module]) -> None:
        self.config: Any = model.peft_config[ADAPTER_NAME]
        self.tuners: Sequence[Any] = tuners

    @staticmethod
    def settings(adapter: AdapterConfig) -> dict[str, Any]:
        """Return the arguments of PEFT's configuration, without the layers.

        Raises:
            ConfigError: if `adapter.options` hold what cannot be had here.
        """
        return {"r": adapter.rank, "lora_alpha": adapter.lora_alpha} | adapter.options
