"""What a method does with all its layers together while they are trained, beside the steps of the optimiser."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

# Runs some training images through the model and returns their loss, with its graph where gradients are enabled.
Probe = Callable[[], Tensor]


class TrainingCallback:
    """Hooks that a training calls, shared by all adapters of a method. Here each does nothing."""

    def prepare(self, probes: Sequence[Probe]) -> None:
        """Look at training images, before the first step of adapters that are fresh.

        Args:
            probes: each runs other images for the weights, not augmented, through the model as it is; at least one.
        """

    def plan(self, steps: int) -> None:
        """Take note of the number of weight steps that the whole training has, before the first of them."""

    def after_step(self, step: int) -> None:
        """Do what the method needs after a step of the weights, while the gradients are still there.

        Args:
            step: counted from 1.
        """

    @property
    def is_settled(self) -> bool:
        """Whether a model may be kept with the adapters as they are, as by its validation score."""
        return True

    def penalty(self, layer: nn.Module) -> Tensor | None:
        """Return what a layer of the method adds to the loss; None where there is nothing to add."""
        return None

    def state(self) -> dict[str, Any]:
        """Return all, beside the adapters' own state, that the next step depends on: tensors, numbers, strings."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken, after `plan`."""
