"""Gradients of a batch: split into micro-batches where memory is short, and checked to be finite."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from naslora_core.data.prepared.batches import Batch
from naslora_core.errors import TrainingError, is_out_of_memory

MAX_IN_A_ROW = 5


class MicroBatches:
    """Accumulates a batch's gradients over micro-batches where the whole does not fit into memory.

    A step stays a step over the whole batch: the gradients are those of its mean loss, up to the order of additions.
    Once divided, batches stay so, and a run that goes on from a checkpoint divides them as it did.
    """

    def __init__(self) -> None:
        self.parts = 1

    def gradients(
        self, batch: Batch, weight: float, loss_of: Callable[[Batch], Tensor], inputs: Sequence[Tensor]
    ) -> Tensor:
        """Set the gradients of `inputs` to those of a batch's mean loss times `weight`, and return that loss.

        Raises:
            TrainingError: if not even one image at a time fits into memory.
        """
        while True:
            try:
                return self._accumulate(batch, weight, loss_of, inputs)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if self.parts >= len(batch.images):
                    raise TrainingError(
                        f"not even one image fits into memory for training ({str(error).splitlines()[0]}); set "
                        "model.gradient_checkpointing: true, lower model.image_size, or free memory. "
                        "A smaller train.batch_size would not help: batches are divided already"
                    ) from error
            # Only here, past the handler, is what the failed attempt held free again.
            self.parts *= 2
            torch.cuda.empty_cache()

    def _accumulate(
        self, batch: Batch, weight: float, loss_of: Callable[[Batch], Tensor], inputs: Sequence[Tensor]
    ) -> Tensor:
        for parameter in inputs:
            parameter.grad = None
        count = len(batch.images)
        size = -(-count // self.parts)
        losses = []
        for start in range(0, count, size):
            part = batch[start : start + size]
            loss = weight * (len(part.images) / count) * loss_of(part)
            # The other phase's parameters need no gradient; leaving them out also saves their share of the work.
            loss.backward(inputs=inputs)
            losses.append(loss.detach())
        return torch.stack(losses).sum()


class NonFiniteSteps:
    """Skips steps whose loss or gradients are not finite, and ends the run after several in a row.

    A single overflow of a kernel in bfloat16 must not cost hours of training, nor reach a weight, from which it would
    spread to all others. Gradient scalers leave out such steps, too (arXiv:1710.03740, section 3.2).
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def may_update(self, step: int, loss: float, norms: Sequence[float], names: Sequence[str]) -> bool:
        """Return whether loss and gradients are finite, so that the step may update weights.

        Args:
            step: its number, for the message.
            loss: of the batch.
            norms: of all gradients, by optimiser.
            names: of the batch's images.

        Raises:
            TrainingError: if this is the fifth step in a row that is not.
        """
        if all(math.isfinite(number) for number in (loss, *norms)):
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        if self._in_a_row == MAX_IN_A_ROW:
            raise TrainingError(
                f"{MAX_IN_A_ROW} steps in a row were left out, the last of them step {step}: the loss is {loss:g}, its "
                f"gradients' norm {max(norms):g}, on {', '.join(names)}. Look at these images and masks; lower "
                "train.lr and search.arch_lr, or set model.precision: fp32. The last checkpoint is kept"
            )
        return False
