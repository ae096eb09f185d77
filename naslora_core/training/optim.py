"""The two optimisers of the stage-wise search: one for the weights, one for the architecture."""

from collections.abc import Iterable

import torch

from naslora_core.adapters import Adapter
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.sam.build import Sam


def make_weight_optimizer(sam: Sam, adapters: Iterable[Adapter], train: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser of stage 1: what learns in the encoder and the decoder, each with its own learning rate."""
    arch = {id(parameter) for adapter in adapters for parameter in adapter.arch_parameters()}
    encoder_weights = [p for p in sam.image_encoder.parameters() if p.requires_grad and id(p) not in arch]
    decoder_weights = [parameter for parameter in sam.mask_decoder.parameters() if parameter.requires_grad]
    groups = [
        {"params": encoder_weights, "lr": train.lr, "peak_lr": train.lr},
        {"params": decoder_weights, "lr": train.decoder_lr, "peak_lr": train.decoder_lr},
    ]
    # A cell has many tiny tensors; updating all of them in one call is what keeps its step cheap.
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], weight_decay=train.weight_decay, fused=True
    )


def make_arch_optimizer(adapters: Iterable[Adapter], search: SearchConfig) -> torch.optim.Optimizer | None:
    """Return the optimiser of stage 2, or None where there is no architecture to search.

    Adam with a short memory, as in DARTS (arXiv:1806.09055, Appendix A.1).
    """
    # Layers that share their alphas name the same parameter; it is updated once.
    unique = dict.fromkeys(parameter for adapter in adapters for parameter in adapter.arch_parameters())
    searched = [parameter for parameter in unique if parameter.requires_grad]
    if not searched:
        return None
    group = {"params": searched, "lr": search.arch_lr, "peak_lr": search.arch_lr}
    return torch.optim.Adam([group], betas=(0.5, 0.999), weight_decay=search.arch_weight_decay)


def optimised(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return all parameters of an optimiser."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its peak rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
