"""The optimisers of weights and architecture, and all schedules: learning rates, temperature, pressure."""

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR

from naslora_core.adapters import Adapter
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.sam.build import Sam

# Shares of the training: until the first a search is free, at the second spatial operations are removed, and
# the rest is for the weights of the pointwise cell that is left.
PRESSURE_FROM = 0.25
PRESSURE_UNTIL = 0.6


class ScheduledOptimizer:
    """An optimiser whose learning rates follow a schedule, step by step.

    Args:
        optimizer: of the parameters; the rates of its groups are the peaks.
        rate: factor of the peaks at a step, counted from 0.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rate: Callable[[int], float]) -> None:
        self._optimizer = optimizer
        self._scheduler = LambdaLR(optimizer, rate)
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.last_rates: list[float] = []

    @property
    def steps(self) -> int:
        """How many steps were taken or skipped."""
        return int(self._scheduler.last_epoch)

    def step(self, update: bool = True) -> None:
        """Take a step with the present gradients, or skip it; the schedule advances either way."""
        self.last_rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        if update:
            self._optimizer.step()
            self._scheduler.step()
            return
        # Not in every step: each change of the filters lets Python show again what it shows once.
        with warnings.catch_warnings():
            # Where the very first step is left out, torch takes that for a wrong order of calls.
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self._scheduler.step()

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on: tensors, numbers, strings."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._scheduler.state_dict(),
            "last_rates": self.last_rates,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._scheduler.load_state_dict(state["schedule"])
        self.last_rates = state["last_rates"]


def make_weight_optimizer(sam: Sam, adapters: Iterable[Adapter], train: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser of all trainable weights of encoder and decoder, each with its own learning rate."""
    arch = {id(parameter) for adapter in adapters for parameter in adapter.arch_parameters()}
    encoder_weights = [p for p in sam.image_encoder.parameters() if p.requires_grad and id(p) not in arch]
    # Fresh as the adapters are, while the rest of the decoder is pre-trained.
    fresh = list(detail.parameters()) if (detail := getattr(sam.mask_decoder, "detail", None)) is not None else []
    known = {id(parameter) for parameter in fresh}
    decoder_weights = [p for p in sam.mask_decoder.parameters() if p.requires_grad and id(p) not in known]
    groups = [
        {"params": encoder_weights, "lr": train.lr},
        {"params": fresh, "lr": train.lr},
        {"params": decoder_weights, "lr": train.decoder_lr},
    ]
    # A cell has many tiny tensors; updating all of them in one call is what keeps its step cheap.
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], weight_decay=train.weight_decay, fused=True
    )


def make_arch_optimizer(adapters: Iterable[Adapter], search: SearchConfig) -> torch.optim.Optimizer | None:
    """Return the optimiser of the architecture, or None where there is none to search.

    Adam with a short memory, as in DARTS (arXiv:1806.09055, Appendix A.1).
    """
    # Layers that share their alphas name the same parameter; it is updated once.
    unique = dict.fromkeys(parameter for adapter in adapters for parameter in adapter.arch_parameters())
    searched = [parameter for parameter in unique if parameter.requires_grad]
    if not searched:
        return None
    return torch.optim.Adam(searched, lr=search.arch_lr, betas=(0.5, 0.999), weight_decay=search.arch_weight_decay)


def weight_rate(step: int, total_steps: int, warmup_steps: int) -> float:
    """Return the factor of the weights' learning rates: linear warm-up times cosine decay to zero.

    Args:
        step: 0..total_steps - 1.
        total_steps: weight steps of the whole training.
        warmup_steps: length of the rise.
    """
    return min(1.0, (step + 1) / max(1, warmup_steps)) * _half_cosine(step / max(1, total_steps))


def arch_rate(step: int, total_steps: int, schedule: Literal["constant", "cosine"]) -> float:
    """Return the factor of the architecture's learning rate.

    Args:
        step: 0..total_steps - 1.
        total_steps: architecture steps of the whole training.
        schedule: "cosine" falls from one to zero.
    """
    return _half_cosine(step / max(1, total_steps)) if schedule == "cosine" else 1.0


def arch_turns(epochs: int, warmup_epochs: int, per_epoch: int, every: int) -> int:
    """Return the number of architecture turns, one after each `every` units of weight steps past warm-up.

    Args:
        epochs: of the whole training.
        warmup_epochs: without turns; the units in them count nevertheless.
        per_epoch: units in an epoch: its weight steps, or 1 if the phases take turns by epochs.
        every: units to a turn.
    """
    return max(0, epochs * per_epoch // every - warmup_epochs * per_epoch // every)


def temperature_at(epoch: int, epochs: int, warmup_epochs: int, first: float, last: float) -> float:
    """Return the softmax temperature of an epoch: `first` during warm-up, then geometrically to `last`.

    The last epoch has `last`; a search of a single epoch keeps `first`.
    """
    if epoch <= warmup_epochs:
        return first
    return first * (last / first) ** ((epoch - warmup_epochs) / (epochs - 1 - warmup_epochs))


def pressure_at(epoch: int, epochs: int, full: float) -> float:
    """Return the pressure of an epoch, subtracted from the alphas of spatial operations: 0, then linear, then infinite.

    Shares softmax(alphas - pressure * is_spatial) are the closed-form minimiser of
    `pressure * (share of spatial operations) - <alphas, shares> - entropy(shares)`, so no gradient has to work
    against the alphas', and the pressure at which spatial operations are gone is known: infinity.

    Args:
        epoch: counted from 0.
        epochs: of the whole training.
        full: the pressure at `PRESSURE_UNTIL` of the training, from where on it is infinite; 0 for none.
    """
    progress = epoch / epochs
    if full == 0 or progress < PRESSURE_FROM:
        return 0.0
    if progress >= PRESSURE_UNTIL:
        return math.inf
    return full * (progress - PRESSURE_FROM) / (PRESSURE_UNTIL - PRESSURE_FROM)


def epochs_to_become_pointwise() -> int:
    """Return the least number of epochs of which the last one is past `PRESSURE_UNTIL`."""
    return math.floor(1 / (1 - PRESSURE_UNTIL)) + 1


def _half_cosine(position: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * position))
