"""Checks before a training starts, and whether it is reproducible bit for bit."""

from collections.abc import Mapping

import torch

from naslora_core.cell import MixedOp
from naslora_core.config import SearchConfig
from naslora_core.errors import ConfigError
from naslora_core.ops import PointwisePrimitive
from naslora_core.training.optim import PRESSURE_UNTIL, epochs_to_become_pointwise


def check_pressure(edges: Mapping[str, MixedOp], search: SearchConfig, epochs: int) -> None:
    """Check that `search.pointwise_pressure` leaves an operation in the cell, and has enough epochs to act.

    Raises:
        ConfigError: if no pointwise operation but "none" would be left, or the training is too short.
    """
    if search.pointwise_pressure == 0 or not edges:
        return
    op = next(iter(edges.values()))
    pointwise = [name for name, op in zip(op.space, op.ops, strict=True) if isinstance(op, PointwisePrimitive)]
    if set(pointwise) <= {"none"}:
        raise ConfigError(
            f"search.pointwise_pressure {search.pointwise_pressure:g} removes all of search.space "
            f"{', '.join(op.space)} but {pointwise or 'nothing'}; add skip_connect or conv_1x1, or set it to 0"
        )
    if epochs < (least := epochs_to_become_pointwise()):
        raise ConfigError(
            f"search.pointwise_pressure {search.pointwise_pressure:g} removes spatial operations after "
            f"{PRESSURE_UNTIL:.0%} of the epochs, which train.epochs {epochs} never reaches; "
            f"use at least {least} epochs, or set it to 0"
        )


def describe_determinism(device: torch.device, processes: int) -> dict[str, bool | str]:
    """Describe whether the same run on the same machine gives the same bits, and why if not.

    Args:
        device: that trains.
        processes: that train together.

    Returns:
        "deterministic", and where it is False "deterministic_reason"; for adapter.json and all made of it.
    """
    reason = ""
    if device.type != "cpu":
        reason = f"{device.type} adds gradients in no fixed order"
    elif processes > 1:
        reason = f"the gradients of {processes} processes are added in no fixed order"
    return {"deterministic": not reason} | ({"deterministic_reason": reason} if reason else {})
