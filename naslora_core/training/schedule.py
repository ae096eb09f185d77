"""Everything that changes with time: learning rates, the cells' temperature, and the pressure on them."""

import math
from typing import Literal

# Shares of the training: until the first a search is free, at the second spatial operations are removed, and
# the rest is for the weights of the pointwise cell that is left.
PRESSURE_FROM = 0.25
PRESSURE_UNTIL = 0.6


def weight_rate(step: int, total_steps: int, warmup_steps: int) -> float:
    """Return the factor of stage 1's learning rates: a linear rise times half a cosine from one to zero.

    Args:
        step: 0..total_steps - 1.
        total_steps: of stage 1 in the whole training.
        warmup_steps: length of the rise.
    """
    return min(1.0, (step + 1) / max(1, warmup_steps)) * _half_cosine(step / total_steps)


def arch_rate(step: int, total_steps: int, schedule: Literal["constant", "cosine"]) -> float:
    """Return the factor of stage 2's learning rate.

    Args:
        step: 0..total_steps - 1.
        total_steps: of stage 2 in the whole training.
        schedule: "cosine" falls from one to zero.
    """
    return _half_cosine(step / total_steps) if schedule == "cosine" else 1.0


def arch_turns(epochs: int, warmup_epochs: int, per_epoch: int, every: int) -> int:
    """Return how many turns of stage 2 a training has, one after each `every` units of stage 1 past warm-up.

    Args:
        epochs: of the whole training.
        warmup_epochs: without turns; the units in them count nevertheless.
        per_epoch: units in an epoch: its steps, or 1 if the stages take turns by epochs.
        every: units to a turn.
    """
    return max(0, epochs * per_epoch // every - warmup_epochs * per_epoch // every)


def temperature_at(epoch: int, epochs: int, warmup_epochs: int, first: float, last: float) -> float:
    """Return what divides the alphas in an epoch: `first` until warm-up is over, then geometrically to `last`.

    The last epoch has `last`; a search of a single epoch keeps `first`.
    """
    if epoch <= warmup_epochs:
        return first
    return first * (last / first) ** ((epoch - warmup_epochs) / (epochs - 1 - warmup_epochs))


def pressure_at(epoch: int, epochs: int, full: float) -> float:
    """Return what spatial operations lose in alpha in an epoch: nothing, then linearly more, then all.

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
