"""The stage-wise optimisation of NAS-LoRA: which parameters a step updates, and when (arXiv:2512.03499)."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from naslora_core.adapted.architecture import searched_edges
from naslora_core.adapters import Adapter
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.data.prepared.batches import Batch, ShuffledBatches, make_batch, split_for_search
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.progress import Progress
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.checks import check_pressure
from naslora_core.training.companions import Companions, spread_rows
from naslora_core.training.losses import make_loss
from naslora_core.training.micro_batches import MicroBatches
from naslora_core.training.non_finite_steps import StraySteps
from naslora_core.training.optim import make_arch_optimizer, make_weight_optimizer, optimised, set_learning_rate
from naslora_core.training.processes import Processes
from naslora_core.training.schedule import arch_rate, arch_turns, pressure_at, temperature_at, weight_rate


@dataclass(frozen=True)
class EpochLosses:
    """The loss of every step of an epoch, by stage; NaN where a step was left out."""

    weights: list[float] = field(default_factory=list)
    arch: list[float] = field(default_factory=list)


class StageWise:
    """Two optimisers that take turns: stage 1 updates weights, stage 2 the architecture.

    Stage 2 sees training images that stage 1 does not (first-order DARTS, arXiv:1806.09055, section 2.3). It
    has no part in the first `warmup_epochs`, and none at all where the alphas are frozen. `search.alternate: joint`
    is the control without stages: one loss on all images moves both.

    Args:
        segmenter: a SAM whose adapters and mask decoder are trainable; trained in place.
        adapters: its adapters by layer name.
        training: the training split.
        precision: "auto", "fp32" or "bf16".
        seed: decides the order of images and which are held out for stage 2.
        processes: that train together.
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
        self._processes = processes or Processes()
        self._segmenter, self._train, self._search, self._precision = segmenter, train, search, precision
        self._adapters = tuple(adapters.values())
        self._edges = searched_edges(adapters)
        check_pressure(self._edges, search, train.epochs)
        self._loss = make_loss(train, segmenter.classes)
        self._weight_optimizer = make_weight_optimizer(segmenter.sam, adapters.values(), train)
        self._arch_optimizer = make_arch_optimizer(adapters.values(), search)
        share = search.arch_split if self._arch_optimizer and search.alternate != "joint" else 0.0
        weight_rows, arch_rows = split_for_search(training.groups, share, seed)
        self._training, self._weight_rows = training, weight_rows
        batches = partial(
            ShuffledBatches, batch_size=train.batch_size, augment=train.augment, device=segmenter.sam.device
        )
        self._weight_batches = batches(training, weight_rows, seed=seed)
        self._arch_batches = batches(training, arch_rows, seed=seed + 1)
        self._weight_steps, self._arch_steps = 0, 0
        self._companions = Companions(self._adapters, self._planned_weight_steps)
        self._losses, self._micro_batches, self._stray_steps = EpochLosses(), MicroBatches(), StraySteps()
        self._set_time(epoch=0)

    def prepare(self, progress: Progress) -> None:
        """Let methods that start from training images look at some of stage 1; for fresh adapters only."""
        self._segmenter.eval()
        batches = spread_rows(self._weight_rows, self._train.batch_size)
        self._companions.prepare([partial(self._look, rows, progress) for rows in batches])

    def run_epoch(self, epoch: int, progress: Progress) -> EpochLosses:
        """Run stage 1 over all its images, and stage 2 whenever its turn comes; or what is left of that.

        Args:
            epoch: counted from 0.
            progress: told after every step, when `state` is such that an epoch can go on from it.

        Raises:
            TrainingError: if loss or gradients stay no numbers, or one image is more than memory holds.
        """
        self._set_time(epoch)
        self._segmenter.train()
        search, losses = self._search, self._losses
        searching = self._arch_optimizer is not None and epoch >= search.warmup_epochs
        for _ in range(len(losses.weights), len(self._weight_batches)):
            batch = next(self._weight_batches)
            losses.weights.append(self._stage_1(batch, joint=searching and search.alternate == "joint"))
            if searching and search.alternate == "steps" and self._weight_steps % search.arch_every == 0:
                losses.arch.append(self._stage_2(next(self._arch_batches)))
            self._tell(progress, f"epoch {epoch + 1}, loss {losses.weights[-1]:.3f}")
        if searching and search.alternate == "epochs" and (epoch + 1) % search.arch_every == 0:
            for _ in range(len(losses.arch), len(self._arch_batches)):
                losses.arch.append(self._stage_2(next(self._arch_batches)))
                self._tell(progress, f"epoch {epoch + 1}, architecture, loss {losses.arch[-1]:.3f}")
        self._losses = EpochLosses()
        return losses

    def _stage_1(self, batch: Batch, joint: bool) -> float:
        """Update what learns in encoder and mask decoder, with the architecture at rest unless both are joint."""
        rate = weight_rate(self._weight_steps, self._planned_weight_steps, self._train.warmup_steps)
        set_learning_rate(self._weight_optimizer, rate)
        self._weight_steps += 1
        loss = self._update(batch, self._weight_optimizer, *([self._next_arch_optimizer()] if joint else []))
        if math.isfinite(loss):
            self._companions.after_step(self._weight_steps)
        return loss

    def _stage_2(self, batch: Batch) -> float:
        """Update alphas and betas, with the weights at rest."""
        return self._update(batch, self._next_arch_optimizer())

    def _next_arch_optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser of stage 2 with the learning rate of its next step, and count that step."""
        assert self._arch_optimizer is not None
        rate = arch_rate(self._arch_steps, self._planned_arch_steps, self._search.arch_schedule)
        set_learning_rate(self._arch_optimizer, rate)
        self._arch_steps += 1
        return self._arch_optimizer

    def _update(self, batch: Batch, *optimizers: torch.optim.Optimizer) -> float:
        updated = [parameter for optimizer in optimizers for parameter in optimised(optimizer)]
        rows, weight = self._processes.share(len(batch.images))
        loss = self._micro_batches.gradients(batch[rows], weight, self._loss_of, updated)
        mean_loss = self._processes.average(loss, updated)
        norms = [torch.nn.utils.clip_grad_norm_(optimised(each), self._train.clip_norm) for each in optimizers]
        step = self._weight_steps + self._arch_steps
        if not self._stray_steps.may_update(step, mean_loss, [float(norm) for norm in norms], batch.names):
            return math.nan
        for optimizer in optimizers:
            optimizer.step()
        return mean_loss

    def _look(self, rows: list[int], progress: Progress) -> Tensor:
        self._tell(progress, "a look at training images")
        return self._loss_of(make_batch(self._training, rows))

    def _loss_of(self, batch: Batch) -> Tensor:
        device = self._segmenter.sam.device
        with autocast(self._precision, device):
            low_res_masks = self._segmenter(batch.images.to(device))
        logits = self._segmenter.upscale(low_res_masks)
        loss = self._loss(logits, batch.masks.to(device), batch.valid.to(device))
        penalties = [penalty for adapter in self._adapters if (penalty := adapter.take_penalty()) is not None]
        return sum(penalties, start=loss)

    def _set_time(self, epoch: int) -> None:
        """Set what changes the cells from epoch to epoch."""
        search, epochs = self._search, self._train.epochs
        pressure = pressure_at(epoch, epochs, search.pointwise_pressure)
        temperature = temperature_at(epoch, epochs, search.warmup_epochs, search.temperature, search.final_temperature)
        for op in self._edges.values():
            op.get_buffer("pressure").fill_(pressure)
            op.get_buffer("temperature").fill_(temperature)

    @property
    def is_settled(self) -> bool:
        """Whether the run may end here: under pressure without spatial operations, and for all a method asks."""
        pointwise = self._search.pointwise_pressure == 0 or all(op.is_pointwise for op in self._edges.values())
        return pointwise and self._companions.are_settled

    @property
    def learning_rate(self) -> float:
        """The last learning rate of stage 1, that of the adapters where there are any."""
        return float(self._weight_optimizer.param_groups[0]["lr"])

    @property
    def decoder_learning_rate(self) -> float:
        """The last learning rate of stage 1 for the mask decoder."""
        return float(self._weight_optimizer.param_groups[-1]["lr"])

    @property
    def arch_learning_rate(self) -> float | None:
        """The last learning rate of stage 2; None before its first step."""
        return float(self._arch_optimizer.param_groups[0]["lr"]) if self._arch_optimizer and self._arch_steps else None

    @property
    def _planned_weight_steps(self) -> int:
        return self._train.epochs * len(self._weight_batches)

    @property
    def _planned_arch_steps(self) -> int:
        search, epochs = self._search, self._train.epochs
        if self._arch_optimizer is None:
            return 0
        if search.alternate != "epochs":
            every = 1 if search.alternate == "joint" else search.arch_every
            return arch_turns(epochs, search.warmup_epochs, len(self._weight_batches), every)
        return arch_turns(epochs, search.warmup_epochs, 1, search.arch_every) * len(self._arch_batches)

    def _tell(self, progress: Progress, message: str) -> None:
        done, total = self._weight_steps + self._arch_steps, self._planned_weight_steps + self._planned_arch_steps
        parts = self._micro_batches.parts
        progress(done, total, message + (f", batches in {parts} parts to fit into memory" if parts > 1 else ""))

    def state(self) -> dict[str, Any]:
        """Return all but the model's weights that the next step depends on."""
        return {
            "steps": [self._weight_steps, self._arch_steps],
            "losses": asdict(self._losses),
            "parts": self._micro_batches.parts,
            "batches": [self._weight_batches.state(), self._arch_batches.state()],
            "weight_optimizer": self._weight_optimizer.state_dict(),
            "arch_optimizer": self._arch_optimizer.state_dict() if self._arch_optimizer else {},
            "companions": self._companions.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self._weight_steps, self._arch_steps = state["steps"]
        self._losses = EpochLosses(**state["losses"])
        self._micro_batches.parts = state["parts"]
        for batches, saved in zip((self._weight_batches, self._arch_batches), state["batches"], strict=True):
            batches.restore(saved)
        self._weight_optimizer.load_state_dict(state["weight_optimizer"])
        if self._arch_optimizer:
            self._arch_optimizer.load_state_dict(state["arch_optimizer"])
        self._companions.restore(state["companions"])
