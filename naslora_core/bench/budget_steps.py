"""Put a search under a budget where a training step of it can be measured: on its way, or when layers have chosen."""

from collections.abc import Mapping

import torch
from torch import nn

from naslora_core.adapters import Adapter
from naslora_core.adapters.base import callbacks_of
from naslora_core.adapters.budget.search import CHOSEN_AT, PRICED_FROM, BudgetSearch
from naslora_core.adapters.callback import TrainingCallback


class _OnItsWay(TrainingCallback):
    """A search that is asked as if steps came from the middle of the time in which prices rise."""

    searched_share = BudgetSearch.searched_share

    def __init__(self, search: BudgetSearch) -> None:
        self._search, self._first = search, 0

    def plan(self, steps: int) -> None:
        self._search.plan(steps)
        self._first = int(steps * (PRICED_FROM + CHOSEN_AT) / 2)

    def after_step(self, step: int) -> None:
        self._search.after_step(self._first + step)


def place_searches(adapters: Mapping[str, Adapter], seed: int, is_over: bool) -> None:
    """Let layers under a budget choose, or put their search where prices rise; other adapters stay as they are.

    What a fresh search would choose is LoRA, as its alphas are all alike; so they are drawn.

    Args:
        adapters: fresh ones, by layer name; changed in place.
        seed: of the alphas.
        is_over: whether layers have chosen.
    """
    for callback in callbacks_of(adapters.values()):
        if not isinstance(callback, BudgetSearch):
            continue
        layers = [layer for layer in adapters.values() if layer.callback is callback]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for alphas in (alphas for layer in layers for alphas in layer.arch_parameters()):
                nn.init.normal_(alphas)
        if is_over:
            callback.plan(1)
            callback.after_step(1)
            continue
        on_its_way = _OnItsWay(callback)
        for layer in layers:
            layer.callback = on_its_way
