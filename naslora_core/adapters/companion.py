"""What a method does with all its layers together, beside the steps of the optimiser."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

# Runs some training images through the model and returns their loss, with its graph where gradients are enabled.
Probe = Callable[[], Tensor]


class Companion:
    """Accompanies a training; the adapters of one method share one. What a method does not need does nothing here."""

    def prepare(self, probes: Sequence[Probe]) -> None:
        """Look at training images, before the first step of adapters that are fresh.

        Args:
            probes: each runs other images of stage 1, unvaried, through the model as it is; at least one.
        """

    def plan(self, steps: int) -> None:
        """Hear of how many steps of stage 1 the whole training will have."""

    def after_step(self, step: int) -> None:
        """Follow a step of stage 1, while the gradients are still there.

        Args:
            step: counted from 1.
        """

    @property
    def is_settled(self) -> bool:
        """Whether the adapters are such as the training may end with."""
        return True

    def penalty(self, layer: nn.Module) -> Tensor | None:
        """Return what a layer of the method adds to the loss; None where there is nothing to add."""
        return None

    def state(self) -> dict[str, Any]:
        """Return all, beside the adapters' own state, that the next step depends on: tensors, numbers, strings."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken, after `plan`."""
