"""Let a search under a budget choose without measuring, so that a step after the choice can be measured."""

from collections.abc import Mapping

from naslora_core.adapters import Adapter
from naslora_core.adapters.base import callbacks_of
from naslora_core.adapters.budget.search import BudgetSearch


def let_choose(adapters: Mapping[str, Adapter], seed: int) -> None:
    """Let layers under a budget choose what is drawn for them, at the cost of their limits; others stay as they are.

    A search that measures random weights would find them all worthless, and choose what is cheapest.

    Args:
        adapters: fresh ones, by layer name; changed in place.
        seed: of the draw.
    """
    for callback in callbacks_of(adapters.values()):
        if isinstance(callback, BudgetSearch):
            callback.choose_at_random(seed)
