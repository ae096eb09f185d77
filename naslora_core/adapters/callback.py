"""Hooks by which an adapter method takes part in training, across all its layers and beside the optimiser's steps."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

# Runs some training images through the model and returns their loss, with its graph where gradients are enabled.
Probe = Callable[[], Tensor]
# Of a loss and of the gradients of some tensors, over all processes that train together.
Average = Callable[[Tensor, Sequence[Tensor]], float]


class TrainingCallback:
    """Hooks that the training loop calls, shared by all adapters of a method; the defaults do nothing."""

    def prepare(self, probes: Sequence[Probe]) -> None:
        """Initialise fresh adapters from training images, before the first step.

        Args:
            probes: each runs other images for the weights, not augmented, through the model as it is; at least one.
        """

    def plan(self, steps: int) -> None:
        """Set schedules by the total number of weight steps, before the first of them."""

    def look(self, probes: Sequence[Probe], average: Average) -> None:
        """Take images to measure on while the training runs.

        Args:
            probes: as in `prepare`.
            average: replaces gradients by their mean over all processes, and returns the mean of a loss.
        """

    def after_step(self, step: int) -> None:
        """Run after every weight step, before the gradients are cleared.

        Args:
            step: counted from 1.
        """

    @property
    def is_settled(self) -> bool:
        """Whether the current epoch may be kept as the best one; false while ranks or operations still change."""
        return True

    def penalty(self, layer: nn.Module) -> Tensor | None:
        """Return the penalty that a layer adds to the loss; None if there is none."""
        return None

    def state(self) -> dict[str, Any]:
        """Return all, beside the adapters' own state, that the next step depends on: tensors, numbers, strings."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; called after `plan`."""
