"""Stage-wise, end-to-end search and training (arXiv:2512.03499)."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from naslora_core.adapters import Adapter
from naslora_core.config import SearchConfig, TrainConfig
from naslora_core.data.preprocess import PreparedData
from naslora_core.progress import Progress, silent
from naslora_core.sam.precision import autocast
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.training.batches import Batch, ShuffledBatches, split_for_search
from naslora_core.training.history import AlphaRecord, EpochRecord, record_alphas
from naslora_core.training.losses import bce_dice_loss
from naslora_core.training.optim import make_arch_optimizer, make_weight_optimizer, set_learning_rate
from naslora_core.training.resume import load_state, save_state
from naslora_core.training.validate import mean_dice


@dataclass
class TrainingRecord:
    """What happened in a run; `best_epoch` is the one whose weights the model holds in the end."""

    epochs: list[EpochRecord] = field(default_factory=list)
    alphas: list[AlphaRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_dice: float = -1.0


class SearchAndTrain:
    """Alternate two optimisers: stage 1 updates weights, stage 2 updates the architecture.

    After `warmup_epochs` every `arch_every_steps` weight steps are followed by one step of the alphas on
    held-out training images (first-order DARTS, arXiv:1806.09055). Nothing is discretised: the soft cell
    is the result.

    Args:
        segmenter: a SAM whose adapters and mask decoder are trainable; trained in place.
        adapters: its adapters by layer name; empty trains the mask decoder alone.
        training: the training split.
        validation: chooses the best epoch.
        precision: "auto", "fp32" or "bf16".
        seed: decides the order of images, their variations and which are held out for the alphas.
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
    ) -> None:
        torch.manual_seed(seed)
        self._segmenter, self._adapters, self._validation = segmenter, adapters, validation
        self._train, self._search, self._precision = train, search, precision
        self._weights = make_weight_optimizer(segmenter.sam, adapters.values(), train)
        self._arch = make_arch_optimizer(adapters.values(), search)
        share = search.arch_split if self._arch else 0.0
        weight_rows, arch_rows = split_for_search(len(training), share, seed)
        self._weight_batches = ShuffledBatches(training, weight_rows, train.batch_size, seed, train.augment)
        self._arch_batches = ShuffledBatches(training, arch_rows, train.batch_size, seed + 1, train.augment)
        self._record = TrainingRecord()
        self._best: dict[str, Tensor] = {}

    def run(self, state_file: Path | None = None, progress: Progress = silent) -> TrainingRecord:
        """Train all epochs and leave the best one's weights in the segmenter.

        Args:
            state_file: where to keep the state after each epoch; a run that finds one there goes on from it.
        """
        start = self._restore(state_file)
        if start == 0:
            self._record.alphas += record_alphas(0, self._adapters)
        arch_batches = self._arch_batches.endless()
        for epoch in range(start, self._train.epochs):
            self._run_epoch(epoch, arch_batches, progress)
            if state_file is not None:
                save_state(state_file, self._state(epoch + 1), self._generators())
        self._segmenter.load_state_dict(self._best, strict=False)
        return self._record

    def _run_epoch(self, epoch: int, arch_batches: Iterator[Batch], progress: Progress) -> None:
        started = time.monotonic()
        steps, every = len(self._weight_batches), self._search.arch_every_steps
        searching = self._arch is not None and epoch >= self._search.warmup_epochs
        losses: list[float] = []
        arch_losses: list[float] = []
        for index, batch in enumerate(self._weight_batches.one_pass()):
            step = epoch * steps + index
            set_learning_rate(self._weights, step, steps * self._train.epochs, self._train.warmup_steps)
            losses.append(self._step(self._weights, batch))
            if searching and self._arch is not None and step % every == every - 1:
                arch_losses.append(self._step(self._arch, next(arch_batches)))
            progress(step + 1, steps * self._train.epochs, f"epoch {epoch + 1}, loss {losses[-1]:.3f}")
        dice = mean_dice(self._segmenter, self._validation, self._precision)
        if dice > self._record.best_dice:
            self._record.best_dice, self._record.best_epoch = dice, epoch + 1
            self._best = self._trained_weights()
        self._record.epochs.append(
            EpochRecord(
                epoch=epoch + 1,
                train_loss=round(_mean(losses), 6),
                arch_loss=round(_mean(arch_losses), 6) if arch_losses else None,
                validation_dice=round(dice, 6),
                lr=self._weights.param_groups[0]["lr"],
                seconds=round(time.monotonic() - started, 2),
            )
        )
        self._record.alphas += record_alphas(epoch + 1, self._adapters)

    def _step(self, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
        device = self._segmenter.sam.device
        with autocast(self._precision, device):
            low_res_masks = self._segmenter(batch.images.to(device))
        logits = self._segmenter.upscale(low_res_masks)
        loss = bce_dice_loss(logits, batch.masks.to(device), batch.valid.to(device))
        # Both stages run through the same graph; gradients that the other stage left must not add up.
        self._segmenter.zero_grad(set_to_none=True)
        loss.backward()
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(own, self._train.clip_norm)
        optimizer.step()
        return float(loss.detach())

    def _trained_weights(self) -> dict[str, Tensor]:
        trainable = {name for name, parameter in self._segmenter.named_parameters() if parameter.requires_grad}
        return {name: value.clone() for name, value in self._segmenter.state_dict().items() if name in trainable}

    def _generators(self) -> list[torch.Generator]:
        return [self._weight_batches.generator, self._arch_batches.generator]

    def _state(self, epochs_done: int) -> dict[str, Any]:
        return {
            "epochs_done": epochs_done,
            "weights": self._trained_weights(),
            "best": self._best,
            "weight_optimizer": self._weights.state_dict(),
            "arch_optimizer": self._arch.state_dict() if self._arch else {},
            "record": asdict(self._record),
        }

    def _restore(self, state_file: Path | None) -> int:
        state = load_state(state_file, self._generators()) if state_file is not None else None
        if state is None:
            return 0
        self._segmenter.load_state_dict(state["weights"], strict=False)
        self._best = state["best"]
        self._weights.load_state_dict(state["weight_optimizer"])
        if self._arch:
            self._arch.load_state_dict(state["arch_optimizer"])
        record = state["record"]
        self._record = TrainingRecord(
            [EpochRecord(**row) for row in record["epochs"]],
            [AlphaRecord(**row) for row in record["alphas"]],
            record["best_epoch"],
            record["best_dice"],
        )
        return int(state["epochs_done"])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
