"""The two optimisers of the stage-wise search, and their learning rates."""

import math
from collections.abc import Iterable

import torch

from naslora_core.adapters import Adapter
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.sam.build import Sam


def make_weight_optimizer(sam: Sam, adapters: Iterable[Adapter], train: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser of stage 1: adapters and mask decoder, each with its own learning rate."""
    adapter_weights = [parameter for adapter in adapters for parameter in adapter.adapter_parameters()]
    decoder_weights = [parameter for parameter in sam.mask_decoder.parameters() if parameter.requires_grad]
    groups = [
        {"params": adapter_weights, "lr": train.lr, "peak_lr": train.lr},
        {"params": decoder_weights, "lr": train.decoder_lr, "peak_lr": train.decoder_lr},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=train.weight_decay)


def make_arch_optimizer(adapters: Iterable[Adapter], search: SearchConfig) -> torch.optim.Optimizer | None:
    """Return the optimiser of stage 2, or None where there is no architecture to search.

    Adam with a short memory, as in DARTS (arXiv:1806.09055, Appendix A.1).
    """
    alphas = [parameter for adapter in adapters for parameter in adapter.arch_parameters()]
    if not alphas:
        return None
    return torch.optim.Adam(alphas, lr=search.arch_lr, betas=(0.5, 0.999), weight_decay=search.arch_weight_decay)


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, total_steps: int, warmup_steps: int) -> None:
    """Set every group to its peak rate times a linear rise and a half cosine down to zero."""
    rise = min(1.0, (step + 1) / max(1, warmup_steps))
    fall = 0.5 * (1 + math.cos(math.pi * step / total_steps))
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * rise * fall
