"""The training loop: epochs of alternating steps, of which the best by validation Dice is kept."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from naslora_core.adapted.state import snapshot
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.progress import Progress, silent
from naslora_core.training.history import (
    AlphaRecord,
    EpochRecord,
    OnEpoch,
    alpha_entropy,
    ignore_epoch,
    record_alphas,
)
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints
from naslora_core.training.signals import DeferredSignals
from naslora_core.validation import dice_per_image


@dataclass
class TrainingRecord:
    """The history and result of a run; `best_epoch` is the one whose weights the model holds in the end.

    `cpu_seconds` are those of this process and of those that it went on from, validation included.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    alphas: list[AlphaRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_dice: float = -1.0
    cpu_seconds: float = 0.0


class SearchAndTrain:
    """Search the architecture and train the weights in one run (arXiv:2512.03499).

    Nothing is discretised and trained again: the soft cell is the result. Where `search.pointwise_pressure`
    removes spatial operations on the way, only epochs after that can be the best one.

    Args:
        phases: the steps to take, ready for the first; of processes that train together, the first keeps the state.
        validation: chooses the best epoch.
    """

    def __init__(self, phases: AlternatingPhases, validation: PreparedData) -> None:
        self._phases, self._validation = phases, validation
        self._record = TrainingRecord()
        self._best: dict[str, Tensor] = {}
        self._epoch_began = time.monotonic()
        self._cpu_began = time.process_time()

    def run(
        self,
        checkpoints: Checkpoints | None = None,
        progress: Progress = silent,
        on_epoch: OnEpoch = ignore_epoch,
        fresh_adapters: bool = True,
    ) -> TrainingRecord:
        """Train all epochs and load the best one's weights into the segmenter.

        Ctrl-C and SIGTERM end it after the step or validation under way, with a checkpoint.

        Args:
            checkpoints: where to keep the state after each epoch, and within long ones; a run that finds one there
                goes on from it and ends, on a CPU, with the same weights as one that was never interrupted.
            progress: called after every step, with the steps done and those of the whole run.
            on_epoch: called with every epoch, those of an interrupted run included.
            fresh_adapters: they may start from training images, if their method does; else they keep their weights.

        Raises:
            ConfigError: if a method cannot start from these images.
            TrainingError: if loss or gradients stay non-finite, or memory ran out; the last checkpoint stays.
        """
        is_resumed = self._restore(checkpoints, progress)
        if not self._record.alphas:
            self._record.alphas += record_alphas(0, self._phases.adapters)
        for record in self._record.epochs:
            on_epoch(record, self._alphas_of(record.epoch))
        if fresh_adapters and not is_resumed:
            # No checkpoint is kept before the first step: a run that is interrupted here prepares again.
            self._phases.prepare(progress)
        self._train(checkpoints, progress, on_epoch)
        self._record.cpu_seconds = self._cpu_seconds()
        self._phases.segmenter.sam.load_state_dict(self._best, strict=False)
        return self._record

    def _train(self, checkpoints: Checkpoints | None, progress: Progress, on_epoch: OnEpoch) -> None:
        with DeferredSignals() as signals:

            def tell(done: int, total: int, message: str) -> None:
                progress(done, total, message)
                if checkpoints and (signals.are_waiting or checkpoints.are_due()):
                    checkpoints.save(self._state())
                signals.deliver()

            for epoch in range(len(self._record.epochs), self._phases.train.epochs):
                self._run_epoch(epoch, tell)
                if checkpoints:
                    checkpoints.save(self._state())
                on_epoch(self._record.epochs[-1], self._alphas_of(epoch + 1))
                signals.deliver()

    def _run_epoch(self, epoch: int, progress: Progress) -> None:
        phases = self._phases
        losses = phases.run_epoch(epoch, progress)
        phases.segmenter.eval()
        dice = validation_dice(phases, self._validation)
        if phases.is_settled and dice > self._record.best_dice:
            self._record.best_dice, self._record.best_epoch = dice, epoch + 1
            self._best = snapshot(self._phases.segmenter.sam)
        self._record.epochs.append(
            EpochRecord(
                epoch=epoch + 1,
                train_loss=round(_mean(losses.weights), 6),
                arch_loss=round(_mean(losses.arch), 6) if losses.arch else None,
                validation_dice=round(dice, 6),
                **phases.learning_rates._asdict(),
                alpha_entropy=alpha_entropy(phases.adapters),
                seconds=round(time.monotonic() - self._epoch_began, 2),
                skipped_steps=sum(map(math.isnan, losses.weights + losses.arch)),
            )
        )
        self._record.alphas += record_alphas(epoch + 1, self._phases.adapters)
        self._epoch_began = time.monotonic()

    def _alphas_of(self, epoch: int) -> list[AlphaRecord]:
        return [record for record in self._record.alphas if record.epoch == epoch]

    def _cpu_seconds(self) -> float:
        return time.process_time() - self._cpu_began

    def _state(self) -> dict[str, Any]:
        record = self._record
        return {
            "weights": snapshot(self._phases.segmenter.sam),
            "best": self._best,
            "phases": self._phases.state(),
            "record": {
                # As one string: as objects its thousands of rows take more time to write than all weights.
                "rows": json.dumps({"epochs": _contents(record.epochs), "alphas": _contents(record.alphas)}),
                "best_epoch": record.best_epoch,
                "best_dice": record.best_dice,
                "cpu_seconds": self._cpu_seconds(),
            },
            "seconds": time.monotonic() - self._epoch_began,
        }

    def _restore(self, checkpoints: Checkpoints | None, progress: Progress) -> bool:
        state = checkpoints.load(lambda line: progress(1, 1, line)) if checkpoints else None
        if state is None:
            return False
        self._phases.segmenter.sam.load_state_dict(state["weights"], strict=False)
        self._best = state["best"]
        self._phases.restore(state["phases"])
        self._epoch_began = time.monotonic() - state["seconds"]
        record = state["record"]
        self._cpu_began = time.process_time() - record["cpu_seconds"]
        rows = json.loads(record["rows"])
        self._record = TrainingRecord(
            [EpochRecord(**row) for row in rows["epochs"]],
            [AlphaRecord(**row) for row in rows["alphas"]],
            record["best_epoch"],
            record["best_dice"],
        )
        return True


def validation_dice(phases: AlternatingPhases, data: PreparedData) -> float:
    """Return the mean Dice of the current model; processes that train together divide the images."""
    share, weight = phases.processes.share(len(data))
    with phases.hold_weights():
        dice = dice_per_image(phases.segmenter, data, range(len(data))[share], phases.precision)
    return phases.processes.mean(dice, weight)


def _contents(rows: Sequence[EpochRecord] | Sequence[AlphaRecord]) -> list[dict[str, Any]]:
    return [vars(row) for row in rows]


def _mean(values: list[float]) -> float:
    """Return the mean of the finite values; NaN if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan
