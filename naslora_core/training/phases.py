"""The two phases of the search and their steps: which parameters a step updates, and when (arXiv:2512.03499)."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from naslora_core.adapted.genotype import searched_edges
from naslora_core.adapted.held_weights import HeldWeights
from naslora_core.adapters.base import Adapter, callbacks_of
from naslora_core.adapters.callback import Probe
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.data.prepared.batches import Batch, ShuffledBatches, make_batch, split_for_search, spread_rows
from naslora_core.data.prepared.crops import ShuffledCrops, as_squares
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.progress import Progress, silent
from naslora_core.sam.precision import autocast, computing_type
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.checks import check_pressure
from naslora_core.training.distributed import Processes
from naslora_core.training.gradients import MicroBatches, NonFiniteSteps
from naslora_core.training.losses import make_loss
from naslora_core.training.optim import (
    ScheduledOptimizer,
    arch_rate,
    arch_turns,
    make_arch_optimizer,
    make_weight_optimizer,
    pressure_at,
    temperature_at,
    weight_rate,
)

# Images that initialise adapters before the first step: enough for a domain, and a small part of a training.
_PROBED_IMAGES = 64
# Images on which a search measures again and again, a forward pass for every layer: one for so many that a training
# sees, so that it costs a small part of it, and within these bounds.
_SEEN_PER_MEASURED, _FEWEST_MEASURED, _MOST_MEASURED = 200, 8, 32


@dataclass(frozen=True)
class EpochLosses:
    """The loss of every step of an epoch, by phase; NaN where a step was skipped."""

    weights: list[float] = field(default_factory=list)
    arch: list[float] = field(default_factory=list)


class LearningRates(NamedTuple):
    """Of the adapters where there are any, of the mask decoder, and of the alphas; None before their first step."""

    lr: float
    decoder_lr: float
    arch_lr: float | None


class AlternatingPhases:
    """Two optimisers that take turns: weight steps, and steps of the architecture (stages 1 and 2 of the paper).

    Architecture steps see training images that weight steps do not (first-order DARTS, arXiv:1806.09055, section 2.3).
    There are none in the first `warmup_epochs`, and none at all where the alphas are frozen.
    `search.alternate: joint` is the control without phases: one loss on all images moves both.

    Args:
        segmenter: a SAM whose adapters and mask decoder are trainable; trained in place.
        adapters: its adapters by layer name; empty trains the mask decoder alone.
        training: the training split.
        train: length, batches, loss and rates.
        search: when the architecture has its turn, and how its cells change with time.
        precision: "auto", "fp32" or "bf16".
        seed: decides the order of images, their variations and which are held out for the architecture.
        processes: that train together.

    Raises:
        ConfigError: if loss, pressure or held-out share do not fit the data and the search space.
    """

    def __init__(
        self,
        segmenter: PromptFreeSegmenter,
        adapters: Mapping[str, Adapter],
        training: PreparedData,
        train: TrainConfig,
        search: SearchConfig,
        precision: str,
        seed: int,
        processes: Processes | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.segmenter, self.adapters, self.processes = segmenter, adapters, processes or Processes()
        self.train, self.precision = train, precision
        self._search, self._edges = search, searched_edges(adapters)
        check_pressure(self._edges, search, train.epochs)
        self._loss = make_loss(train, segmenter.classes)
        arch_optimizer = make_arch_optimizer(adapters.values(), search)
        share = search.arch_split if arch_optimizer and search.alternate != "joint" else 0.0
        weight_rows, arch_rows = split_for_search(training.groups, share, seed)
        self._training, self._weight_rows = training, weight_rows
        kind = ShuffledBatches if training.scale is None else ShuffledCrops
        batches = partial(
            kind,
            batch_size=train.batch_size,
            augment=train.augment,
            device=segmenter.sam.device,
        )
        self._weight_batches = batches(training, weight_rows, seed=seed)
        self._arch_batches = batches(training, arch_rows, seed=seed + 1)
        self._weights = ScheduledOptimizer(
            make_weight_optimizer(segmenter.sam, adapters.values(), train),
            partial(weight_rate, total_steps=self._planned_weight_steps, warmup_steps=train.warmup_steps),
        )
        schedule = partial(arch_rate, total_steps=self._planned_arch_steps, schedule=search.arch_schedule)
        self._arch = ScheduledOptimizer(arch_optimizer, schedule) if arch_optimizer else None
        self._callbacks = callbacks_of(adapters.values())
        for callback in self._callbacks:
            callback.plan(self._planned_weight_steps)
            callback.look(self._probes(self._measured_images, silent), self.processes.average)
        self._held = HeldWeights(segmenter.sam.image_encoder, computing_type(precision, segmenter.sam.device))
        self._losses, self._micro_batches, self._non_finite_steps = EpochLosses(), MicroBatches(), NonFiniteSteps()
        self._set_time(epoch=0)

    def prepare(self, progress: Progress) -> None:
        """Initialise fresh adapters from training images, for methods that do so."""
        self.segmenter.eval()
        probes = self._probes(_PROBED_IMAGES, progress)
        for callback in self._callbacks:
            callback.prepare(probes)

    def _probes(self, count: int, progress: Progress) -> list[Probe]:
        """Return the losses of some training images for the weights, evenly spaced and not augmented, by batch."""
        squares = as_squares(self._training)
        names = {self._training.names[row] for row in self._weight_rows}
        rows = [row for row, name in enumerate(squares.names) if name in names]
        batches = spread_rows(rows, count, self.train.batch_size)
        return [partial(self._probe_loss, squares, rows, progress) for rows in batches]

    def run_epoch(self, epoch: int, progress: Progress) -> EpochLosses:
        """Take a weight step for every batch of an epoch, and steps of the architecture at their turns.

        An interrupted epoch is resumed after its last step.

        Args:
            epoch: counted from 0.
            progress: called after every step, when `state` can be saved and the epoch resumed from it.

        Raises:
            TrainingError: if loss or gradients stay non-finite, or one image is more than memory holds.
        """
        self._set_time(epoch)
        self.segmenter.train()
        with self.hold_weights():
            return self._run_epoch(epoch, progress)

    def hold_weights(self) -> AbstractContextManager[None]:
        """Return a context in which frozen weights are in the type that is computed in, see `HeldWeights`."""
        return self._held.hold()

    def _run_epoch(self, epoch: int, progress: Progress) -> EpochLosses:
        search, losses = self._search, self._losses
        searching = self._arch is not None and epoch >= search.warmup_epochs
        for _ in range(len(losses.weights), len(self._weight_batches)):
            losses.weights.append(self._weight_step(joint=searching and search.alternate == "joint"))
            if searching and search.alternate == "steps" and self._weights.steps % search.arch_every == 0:
                losses.arch.append(self._arch_step())
            self._report(progress, f"epoch {epoch + 1}, loss {losses.weights[-1]:.3f}")
        if searching and search.alternate == "epochs" and (epoch + 1) % search.arch_every == 0:
            for _ in range(len(losses.arch), len(self._arch_batches)):
                losses.arch.append(self._arch_step())
                self._report(progress, f"epoch {epoch + 1}, architecture, loss {losses.arch[-1]:.3f}")
        self._losses = EpochLosses()
        return losses

    def _weight_step(self, joint: bool) -> float:
        """Update the trainable weights of encoder and mask decoder, with fixed alphas unless `joint`."""
        arch = [self._arch] if joint and self._arch else []
        loss = self._step(next(self._weight_batches), self._weights, *arch)
        if math.isfinite(loss):
            for callback in self._callbacks:
                callback.after_step(self._weights.steps)
        return loss

    def _arch_step(self) -> float:
        """Update alphas and betas, with fixed weights."""
        assert self._arch is not None
        return self._step(next(self._arch_batches), self._arch)

    def _step(self, batch: Batch, *optimizers: ScheduledOptimizer) -> float:
        """Update the parameters of `optimizers` once, or skip the step if loss or gradients are not finite."""
        updated = [parameter for optimizer in optimizers for parameter in optimizer.parameters]
        rows, weight = self.processes.share(len(batch.images))
        own_loss = self._micro_batches.gradients(batch[rows], weight, self._loss_of, updated)
        loss = self.processes.average(own_loss, updated)
        norms = [float(torch.nn.utils.clip_grad_norm_(each.parameters, self.train.clip_norm)) for each in optimizers]
        is_finite = self._non_finite_steps.may_update(self._steps + len(optimizers), loss, norms, batch.names)
        for optimizer in optimizers:
            optimizer.step(update=is_finite)
        return loss if is_finite else math.nan

    def _loss_of(self, batch: Batch) -> Tensor:
        device = self.segmenter.sam.device
        with autocast(self.precision, device):
            low_res_masks = self.segmenter(batch.images.to(device))
        logits = self.segmenter.upscale(low_res_masks)
        loss = self._loss(logits, batch.masks.to(device), batch.valid.to(device))
        penalties = [penalty for adapter in self.adapters.values() if (penalty := adapter.take_penalty()) is not None]
        return sum(penalties, start=loss)

    def _probe_loss(self, squares: PreparedData, rows: list[int], progress: Progress) -> Tensor:
        self._report(progress, "a look at training images")
        return self._loss_of(make_batch(squares, rows))

    def _set_time(self, epoch: int) -> None:
        search, epochs = self._search, self.train.epochs
        pressure = pressure_at(epoch, epochs, search.pointwise_pressure)
        temperature = temperature_at(epoch, epochs, search.warmup_epochs, search.temperature, search.final_temperature)
        for op in self._edges.values():
            op.set_time(temperature, pressure)

    @property
    def is_settled(self) -> bool:
        """Whether this epoch may be the best: no spatial operation is left under pressure, callbacks settled."""
        pointwise = self._search.pointwise_pressure == 0 or all(op.is_pointwise for op in self._edges.values())
        return pointwise and all(callback.is_settled for callback in self._callbacks)

    @property
    def learning_rates(self) -> LearningRates:
        """The rates of the last weight step and of the last architecture step."""
        rates = self._weights.last_rates
        arch = self._arch.last_rates if self._arch else []
        return LearningRates(rates[0], rates[-1], arch[0] if arch else None)

    @property
    def _steps(self) -> int:
        return self._weights.steps + (self._arch.steps if self._arch else 0)

    @property
    def _planned_weight_steps(self) -> int:
        return self.train.epochs * len(self._weight_batches)

    @property
    def _measured_images(self) -> int:
        seen = self._planned_weight_steps * self.train.batch_size
        return min(_MOST_MEASURED, max(_FEWEST_MEASURED, seen // _SEEN_PER_MEASURED))

    @property
    def _planned_arch_steps(self) -> int:
        search, epochs = self._search, self.train.epochs
        if search.alternate != "epochs":
            every = 1 if search.alternate == "joint" else search.arch_every
            return arch_turns(epochs, search.warmup_epochs, len(self._weight_batches), every)
        return arch_turns(epochs, search.warmup_epochs, 1, search.arch_every) * len(self._arch_batches)

    def _report(self, progress: Progress, message: str) -> None:
        total = self._planned_weight_steps + (self._planned_arch_steps if self._arch else 0)
        parts = self._micro_batches.parts
        divided = f", batches in {parts} parts to fit into memory" if parts > 1 else ""
        progress(self._steps, total, message + divided)

    def state(self) -> dict[str, Any]:
        """Return all state but the model's weights that the next step depends on."""
        return {
            "losses": asdict(self._losses),
            "parts": self._micro_batches.parts,
            "batches": [self._weight_batches.state(), self._arch_batches.state()],
            "weights": self._weights.state(),
            "arch": self._arch.state() if self._arch else {},
            "callbacks": [callback.state() for callback in self._callbacks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self._losses = EpochLosses(**state["losses"])
        self._micro_batches.parts = state["parts"]
        for batches, saved in zip((self._weight_batches, self._arch_batches), state["batches"], strict=True):
            batches.restore(saved)
        self._weights.restore(state["weights"])
        if self._arch:
            self._arch.restore(state["arch"])
        for callback, saved in zip(self._callbacks, state["callbacks"], strict=True):
            callback.restore(saved)
