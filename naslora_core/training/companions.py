"""The companions of the methods in a training, called at their times."""

from collections.abc import Iterable, Sequence
from typing import Any

from naslora_core.adapters import Adapter
from naslora_core.adapters.companion import Probe
from naslora_core.spacing import evenly_spaced

# Enough to know a domain by, and no more than a small part of a training.
_IMAGES = 64


class Companions:
    """All companions of some adapters; usually there are none.

    Args:
        adapters: that are trained.
        steps: of stage 1 in the whole training.

    Raises:
        ConfigError: if a method cannot do its work in so many steps.
    """

    def __init__(self, adapters: Iterable[Adapter], steps: int) -> None:
        # The layers of one method share theirs.
        self._all = list(dict.fromkeys(adapter.companion for adapter in adapters if adapter.companion is not None))
        for companion in self._all:
            companion.plan(steps)

    def prepare(self, probes: Sequence[Probe]) -> None:
        """Let methods that start from training images look at them."""
        for companion in self._all:
            companion.prepare(probes)

    def after_step(self, step: int) -> None:
        """Follow a step of stage 1, counted from 1."""
        for companion in self._all:
            companion.after_step(step)

    @property
    def are_settled(self) -> bool:
        """Whether the training may end with the adapters as they are."""
        return all(companion.is_settled for companion in self._all)

    def state(self) -> list[dict[str, Any]]:
        """Return what the next step depends on."""
        return [companion.state() for companion in self._all]

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Go on from where `state` was taken."""
        for companion, state in zip(self._all, states, strict=True):
            companion.restore(state)


def spread_rows(rows: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return batches of up to 64 of the rows, evenly spaced."""
    chosen = evenly_spaced(rows, _IMAGES)
    return [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]
