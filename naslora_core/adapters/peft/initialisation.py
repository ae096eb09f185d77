"""LoRA initialised from training images: EVA by activations, LoRA-GA by gradients."""

import dataclasses
import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslora_core.adapters.callback import Probe
from naslora_core.adapters.peft.callback import ADAPTER_NAME, PeftCallback
from naslora_core.config import AdapterConfig
from naslora_core.errors import ConfigError

# EVA ends when its components no longer turn: after some ten batches, or never if they do not converge.
_MOST_BATCHES = 1000


class EVACallback(PeftCallback):
    """EVA: `lora_A` starts as the directions in which a layer's inputs vary most (arXiv:2410.07170).

    Every layer keeps the rank `adapter.rank`. EVA can also move ranks between layers, but an adapter is loaded
    where there are no images to compute it from again.
    """

    @staticmethod
    def settings(adapter: AdapterConfig) -> dict[str, Any]:
        """Return the arguments of PEFT's configuration, without the layers.

        Raises:
            ConfigError: if the options would move ranks between layers.
        """
        own = {"rho": 1.0} | adapter.options.get("eva_config", {})
        if own["rho"] != 1:
            raise ConfigError(
                f"adapter.options eva_config rho {own['rho']} moves ranks between layers, and who loads the adapter "
                "could not know where to; leave it out, or set it to 1"
            )
        return PeftCallback.settings(adapter) | {"eva_config": own}

    def prepare(self, probes: Sequence[Probe]) -> None:
        """Compute the directions by PEFT, over as many batches as they need to converge.

        Raises:
            ConfigError: if the images have fewer tokens than the rank, or the directions do not converge.
        """
        from peft.tuners.lora.eva import get_eva_state_dict

        batches = itertools.count()

        def forward(_: nn.Module, place: Tensor) -> None:
            if next(batches) > _MOST_BATCHES:
                raise ConfigError(
                    f"EVA has looked at training images {_MOST_BATCHES} times and its components still turn; lower tau "
                    "in eva_config of adapter.options, or adapter.rank"
                )
            probes[int(place)]()

        layers = _numbered(self.tuners)
        found = get_eva_state_dict(
            layers,
            # PEFT wants what it can move to a device; the images themselves are the probes' business.
            torch.arange(len(probes)),
            dataclasses.replace(self.config, target_modules=list(layers)),
            forward_fn=forward,
            prepare_model_inputs_fn=None,
            prepare_layer_inputs_fn=self._tokens,
            gather_distributed_inputs=False,
            show_progress_bar=False,
        )
        for name, tuner in zip(layers, self.tuners, strict=True):
            tuner.lora_A[ADAPTER_NAME].weight.data.copy_(found[name])

    def _tokens(self, inputs: tuple[Tensor], *_: object) -> Tensor:
        tokens = inputs[0].flatten(0, -2).contiguous()
        if min(tokens.shape) < self.config.r:
            raise ConfigError(
                f"adapter.rank {self.config.r} exceeds the {len(tokens)} tokens or {tokens.shape[1]} channels that a "
                "batch brings into a layer, so EVA cannot find as many directions; lower adapter.rank"
            )
        return tokens


class LoRAGACallback(PeftCallback):
    """LoRA-GA: the first step of both factors is that of full fine-tuning (arXiv:2407.05000).

    The factors start from the gradient of the frozen weight; what they add is taken out of a copy of that weight,
    so the model starts as the base.
    """

    changes_base = True

    @staticmethod
    def settings(adapter: AdapterConfig) -> dict[str, Any]:
        """Return the arguments of PEFT's configuration, without the layers."""
        return {"lora_ga_config": {}} | PeftCallback.settings(adapter)

    def prepare(self, probes: Sequence[Probe]) -> None:
        """Sum the gradients of all probes, and initialise both factors from them by PEFT.

        Raises:
            ConfigError: if the rank is too large for a layer.
        """
        from peft.tuners.lora.loraga import preprocess_loraga

        layers = _numbered(self.tuners)
        weights = [layer.get_parameter("weight") for layer in layers.values()]
        if (least := min(min(weight.shape) for weight in weights)) < 2 * self.config.r:
            raise ConfigError(
                f"adapter.rank {self.config.r} is too large for LoRA-GA, which divides twice as many directions "
                f"between its factors; the smallest layer has {least}: use at most {least // 2}"
            )

        def backward() -> None:
            for probe in probes:
                probe().backward(inputs=weights)

        with warnings.catch_warnings():
            # Nothing before the first layer has gradients, as torch remarks.
            warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)
            preprocess_loraga(layers, dataclasses.replace(self.config, target_modules=list(layers)), backward)
        for tuner in self.tuners:
            tuner.lora_ga_init(ADAPTER_NAME, self.config.lora_ga_config)


def _numbered(tuners: Sequence[Any]) -> nn.ModuleDict:
    """Return the base weights of PEFT's layers, by the names that PEFT looks them up by."""
    layers: Mapping[str, nn.Module] = {str(place): tuner.get_base_layer() for place, tuner in enumerate(tuners)}
    return nn.ModuleDict(layers)
