"""AdaLoRA: rank is reallocated to the layers that need it while the training runs (arXiv:2303.10512)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslora_core.adapters.peft.callback import ADAPTER_NAME, PeftCallback
from naslora_core.config import AdapterConfig
from naslora_core.errors import ConfigError

# The rank that layers start with, over the one they have on average in the end (section 4 of the paper).
_START = 1.5
# Stand for the length of the training, and for numbers of its steps, until `plan` knows them.
_ENDLESS, _UNKNOWN = 1_000_000_000, -1
_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class AdaLoRACallback(PeftCallback):
    """Call PEFT's rank allocator after each step, and keep the singular vectors orthogonal.

    `adapter.rank` is the mean rank in the end; every layer starts with half as much again. The first tenth of the
    steps leaves all ranks as they are, then the budget falls, and half of the steps train what is left. Options
    `tinit` and `tfinal`, in steps, replace these shares.
    """

    def __init__(self, model: Any, tuners: Sequence[nn.Module]) -> None:
        super().__init__(model, tuners)
        # PEFT looks for its layers by name in what it finds here; in the encoder they move after this.
        model.model = nn.ModuleList(tuners)
        self._model, self._step = model, 0

    @staticmethod
    def settings(adapter: AdapterConfig) -> dict[str, Any]:
        """Return the arguments of PEFT's configuration, without the layers and the length of the training.

        Raises:
            ConfigError: if the options set that length, or leave nothing to allocate.
        """
        options = adapter.options
        if "total_step" in options:
            raise ConfigError(
                f"adapter.options total_step {options['total_step']} of {adapter.method} is the length of the "
                "training, which train.epochs decides; leave it out"
            )
        ranks = {"target_r": adapter.rank, "init_r": int(_START * adapter.rank + 0.5)}
        settings = {**ranks, "lora_alpha": adapter.lora_alpha, "total_step": _ENDLESS, **options}
        if settings["init_r"] <= settings["target_r"]:
            raise ConfigError(
                f"{adapter.method} starts with rank {settings['init_r']} and ends with {settings['target_r']} on "
                "average; set init_r in adapter.options above adapter.rank"
            )
        return settings | {"tinit": options.get("tinit", _UNKNOWN), "tfinal": options.get("tfinal", _UNKNOWN)}

    def plan(self, steps: int) -> None:
        """Set in which of the `steps` weight steps ranks are reallocated.

        Raises:
            ConfigError: if it is too short for ranks to move.
        """
        config = self.config
        config.total_step = steps
        config.tinit = steps // 10 if config.tinit == _UNKNOWN else config.tinit
        config.tfinal = max(min(steps // 2, steps - 2), 0) if config.tfinal == _UNKNOWN else config.tfinal
        # The step that ends the allocation needs at least one before it, which has measured what matters.
        if not max(config.tinit, 1) < steps - config.tfinal:
            raise ConfigError(
                f"AdaLoRA cannot move ranks between step {config.tinit} (tinit) and the last {config.tfinal} (tfinal) "
                f"of {steps}; raise train.epochs, or lower these in adapter.options"
            )

    def after_step(self, step: int) -> None:
        """Let PEFT's allocator score the singular vectors and mask those of least importance."""
        self._step = step
        self._model.update_and_allocate(step)

    @property
    def is_settled(self) -> bool:
        """Whether rank reallocation has ended."""
        return self._step >= self.config.total_step - self.config.tfinal

    def penalty(self, layer: nn.Module) -> Tensor:
        """Return this layer's share of the mean distance of singular vectors from orthogonal ones (Eq. 4)."""
        tuner: Any = layer
        rows, columns = tuner.lora_A[ADAPTER_NAME], tuner.lora_B[ADAPTER_NAME]
        unit = torch.eye(len(rows), device=rows.device)
        distance = torch.linalg.norm(rows @ rows.T - unit) + torch.linalg.norm(columns.T @ columns - unit)
        weight: float = self.config.orth_reg_weight
        return distance * (weight / (2 * len(self.tuners)))

    def state(self) -> dict[str, Any]:
        """Return the allocator's importance scores, and the ranks it has left."""
        allocator = self._model.rankallocator
        scores = {name: dict(getattr(allocator, name)) for name in _SCORES}
        return {"step": self._step, "rank_pattern": self.config.rank_pattern or {}, **scores}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        device = self.tuners[0].get_base_layer().weight.device
        for name in _SCORES:
            scores = {key: value.to(device) for key, value in state[name].items()}
            setattr(self._model.rankallocator, name, scores)
        self._step, self.config.rank_pattern = state["step"], state["rank_pattern"] or None
