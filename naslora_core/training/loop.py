"""End-to-end search and training: epochs of stage-wise steps, of which the best one is kept."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from naslora_core.adapters import Adapter
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.progress import Progress, silent
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.history import (
    AlphaRecord,
    EpochRecord,
    Watch,
    alpha_entropy,
    record_alphas,
    unwatched,
)
from naslora_core.training.processes import Processes
from naslora_core.training.resume import Checkpoints
from naslora_core.training.signals import DeferredSignals
from naslora_core.training.stage_wise import StageWise
from naslora_core.training.state import trained_state
from naslora_core.training.validate import mean_dice


@dataclass
class TrainingRecord:
    """What happened in a run; `best_epoch` is the one whose weights the model holds in the end."""

    epochs: list[EpochRecord] = field(default_factory=list)
    alphas: list[AlphaRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_dice: float = -1.0


class SearchAndTrain:
    """Search the architecture and train the weights in one run (arXiv:2512.03499).

    Nothing is discretised and trained again: the soft cell is the result. Where `search.pointwise_pressure`
    removes spatial operations on the way, only epochs after that can be the best one.

    Args:
        segmenter: a SAM whose adapters and mask decoder are trainable; trained in place.
        adapters: its adapters by layer name; empty trains the mask decoder alone.
        training: the training split.
        validation: chooses the best epoch.
        precision: "auto", "fp32" or "bf16".
        seed: decides the order of images, their variations and which are held out for the alphas.
        processes: that train together; the first of them keeps the state.

    Raises:
        ConfigError: if loss, pressure or held-out share do not fit the data and the search space.
    """

    def __init__(
        self,
        segmenter: PromptFreeSegmenter,
        adapters: Mapping[str, Adapter],
        training: PreparedData,
        validation: PreparedData,
        train: TrainConfig,
        search: SearchConfig,
        precision: str,
        seed: int,
        processes: Processes | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self._processes = processes or Processes()
        self._segmenter, self._adapters, self._validation = segmenter, adapters, validation
        self._epochs, self._precision = train.epochs, precision
        self._stages = StageWise(segmenter, adapters, training, train, search, precision, seed, self._processes)
        self._record = TrainingRecord()
        self._best: dict[str, Tensor] = {}
        self._epoch_began = time.monotonic()

    def run(
        self,
        checkpoints: Checkpoints | None = None,
        progress: Progress = silent,
        watch: Watch = unwatched,
        fresh_adapters: bool = True,
    ) -> TrainingRecord:
        """Train all epochs and leave the best one's weights in the segmenter.

        Ctrl-C and SIGTERM end it after the step or validation under way, with a checkpoint.

        Args:
            checkpoints: where to keep the state after each epoch, and within long ones; a run that finds one there
                goes on from it and ends, on a CPU, with the same weights as one that was never interrupted.
            progress: told after every step, of how many in the whole run.
            watch: told of every epoch, those of an interrupted run included.
            fresh_adapters: they may start from training images, if their method does; else they keep their weights.

        Raises:
            ConfigError: if a method cannot start from these images.
            TrainingError: if the numbers are none any more, or memory ran out; the last checkpoint stays.
        """
        is_resumed = self._restore(checkpoints, progress)
        if not self._record.alphas:
            self._record.alphas += record_alphas(0, self._adapters)
        for record in self._record.epochs:
            watch(record, self._alphas_of(record.epoch))
        if fresh_adapters and not is_resumed:
            # Outside of what can be interrupted and go on: it begins anew, as long as no step is taken.
            self._stages.prepare(progress)
        self._train(checkpoints, progress, watch)
        self._segmenter.sam.load_state_dict(self._best, strict=False)
        return self._record

    def _train(self, checkpoints: Checkpoints | None, progress: Progress, watch: Watch) -> None:
        with DeferredSignals() as signals:

            def tell(done: int, total: int, message: str) -> None:
                progress(done, total, message)
                if checkpoints and (signals.are_waiting or checkpoints.are_due()):
                    checkpoints.save(self._state())
                signals.deliver()

            for epoch in range(len(self._record.epochs), self._epochs):
                self._run_epoch(epoch, tell)
                if checkpoints:
                    checkpoints.save(self._state())
                watch(self._record.epochs[-1], self._alphas_of(epoch + 1))
                signals.deliver()

    def _run_epoch(self, epoch: int, progress: Progress) -> None:
        losses = self._stages.run_epoch(epoch, progress)
        self._segmenter.eval()
        dice = mean_dice(self._segmenter, self._validation, self._precision, processes=self._processes)
        if self._stages.is_settled and dice > self._record.best_dice:
            self._record.best_dice, self._record.best_epoch = dice, epoch + 1
            self._best = trained_state(self._segmenter.sam)
        self._record.epochs.append(
            EpochRecord(
                epoch=epoch + 1,
                train_loss=round(_mean(losses.weights), 6),
                arch_loss=round(_mean(losses.arch), 6) if losses.arch else None,
                validation_dice=round(dice, 6),
                lr=self._stages.learning_rate,
                decoder_lr=self._stages.decoder_learning_rate,
                arch_lr=self._stages.arch_learning_rate,
                alpha_entropy=alpha_entropy(self._adapters),
                seconds=round(time.monotonic() - self._epoch_began, 2),
                skipped_steps=sum(map(math.isnan, losses.weights + losses.arch)),
            )
        )
        self._record.alphas += record_alphas(epoch + 1, self._adapters)
        self._epoch_began = time.monotonic()

    def _alphas_of(self, epoch: int) -> list[AlphaRecord]:
        return [record for record in self._record.alphas if record.epoch == epoch]

    def _state(self) -> dict[str, Any]:
        return {
            "weights": trained_state(self._segmenter.sam),
            "best": self._best,
            "stages": self._stages.state(),
            "record": asdict(self._record),
            "seconds": time.monotonic() - self._epoch_began,
        }

    def _restore(self, checkpoints: Checkpoints | None, progress: Progress) -> bool:
        state = checkpoints.load(lambda line: progress(1, 1, line)) if checkpoints else None
        if state is None:
            return False
        self._segmenter.sam.load_state_dict(state["weights"], strict=False)
        self._best = state["best"]
        self._stages.restore(state["stages"])
        self._epoch_began = time.monotonic() - state["seconds"]
        record = state["record"]
        self._record = TrainingRecord(
            [EpochRecord(**row) for row in record["epochs"]],
            [AlphaRecord(**row) for row in record["alphas"]],
            record["best_epoch"],
            record["best_dice"],
        )
        return True


def _mean(values: list[float]) -> float:
    """Return the mean of those that are numbers; NaN if none is."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
