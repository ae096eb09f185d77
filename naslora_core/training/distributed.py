"""Distributed training on several GPUs or nodes: `accelerate launch -m stages.search_train`."""

import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from naslora_core.errors import PipelineError

if TYPE_CHECKING:
    from accelerate import Accelerator


class Processes:
    """The processes that train one model together, seen from one of them; usually there is one.

    All hold the same model, draw the same batches and take the same steps; each computes the gradients of its share
    of a batch. Their mean is what one process would have computed, up to the order of additions. The gradients
    themselves are averaged, and the model is not wrapped: a stage needs those of its own parameters only, and they
    are few.

    Raises:
        PipelineError: if the launcher started several, but Accelerate is not installed.
    """

    def __init__(self) -> None:
        self._accelerator = _accelerator() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None
        self.count: int = self._accelerator.num_processes if self._accelerator else 1
        self.rank: int = self._accelerator.process_index if self._accelerator else 0

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files and reports progress."""
        return self.rank == 0

    @property
    def device(self) -> torch.device | None:
        """The device of this process; None in a training with one process."""
        return self._accelerator.device if self._accelerator else None

    def share(self, rows: int) -> tuple[slice, float]:
        """Return which rows of a batch are this process's.

        Args:
            rows: images in the batch.

        Returns:
            Which of them are this process's, and the weight of their mean loss in the mean over processes. A batch
            with fewer images than processes gives some an image that counts for nothing.
        """
        if self.count == 1:
            return slice(0, rows), 1.0
        own = len(range(self.rank, rows, self.count))
        return (slice(self.rank, rows, self.count), own * self.count / rows) if own else (slice(0, 1), 0.0)

    def average(self, loss: Tensor, parameters: Sequence[Tensor]) -> float:
        """Replace the gradients of `parameters` by their mean over all processes, and return that of the loss.

        Args:
            loss: a number, already weighted as `share` says.
            parameters: those that have gradients, in the same order everywhere.
        """
        if self._accelerator is None:
            return float(loss.detach())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        # One message instead of hundreds of tiny ones.
        flat = torch.cat([loss.detach().reshape(1).float(), *(gradient.flatten().float() for gradient in gradients)])
        mean = self._accelerator.reduce(flat, reduction="mean")
        parts = mean[1:].split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return float(mean[0])

    def mean(self, values: Tensor, weight: float) -> float:
        """Return the mean over all processes of the mean of `values`, each times its process's `weight`."""
        if self._accelerator is None:
            return float(values.mean())
        own = (values.double().mean() * weight).reshape(1).to(self._accelerator.device)
        return float(self._accelerator.reduce(own, reduction="mean"))

    def wait(self) -> None:
        """Wait until all processes have reached this call."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()


@cache
def _accelerator() -> "Accelerator":
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise PipelineError(
            "several processes are to train together, but Accelerate is missing; pip install 'naslora[accelerate]'"
        ) from error
    return Accelerator(cpu=not torch.cuda.is_available())
