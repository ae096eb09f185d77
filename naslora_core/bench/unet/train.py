"""Train the rival from scratch in a given number of seconds."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from naslora_core.bench.unet.crops import CropSampler
from naslora_core.bench.unet.network import MULTIPLE_PX, UNetPredictor, build_unet, normalise
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.errors import DataError
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import SegmentedImage, decide
from naslora_core.progress import Progress, silent
from naslora_core.sam.precision import autocast, best_device
from naslora_core.training.losses import ce_dice_loss

CHECKS = 10
# Of the budget: what one check is to take, what it may take so that it looks at a few images at least, and how long
# the rate rises. Of the time that has passed: what all checks may have taken.
_CHECK_SHARE, _DEAREST_CHECK_SHARE, _WARMUP_SHARE, _CHECKS_SHARE = 0.01, 0.05, 0.05, 0.1
_LEAST_CHECKED = 4
_THRESHOLD = 0.5


@dataclass(frozen=True)
class UNetSettings:
    """How a U-Net is trained; the defaults are what validation preferred, see docs/bench.md.

    Attributes:
        seconds: of training, checks on validation images included: CPU seconds, on an accelerator wall seconds.
        lr: the highest learning rate.
        seed: of weights and crops.
        crop_px: side of a crop.
        batch_size: crops in a step.
        norm: "instance" or "batch".
        longer_px: to which an image's longer side is shrunk; None for images at their own scale.
        precision: "auto", "fp32" or "bf16".
    """

    seconds: float
    lr: float = 1e-3
    seed: int = 0
    crop_px: int = 192
    batch_size: int = 4
    norm: str = "instance"
    longer_px: int | None = None
    precision: str = "auto"


@dataclass
class TrainedUNet:
    """A trained U-Net at its best check, and how it came about.

    Attributes:
        predict: its predictions.
        settings: it was trained with.
        validation_dice: of all validation images at their own size.
        parameters: how many were trained.
        steps: of training.
        seconds: that they took, with the checks, by the clock of `UNetSettings.seconds`.
        wall_seconds: the same by the clock on the wall.
        checks: seconds since the start, and Dice of the validation images that were looked at then.
    """

    predict: UNetPredictor
    settings: UNetSettings
    validation_dice: float
    parameters: int
    steps: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0
    checks: list[tuple[float, float]] = field(default_factory=list)


def train_best_rate(
    training: Sequence[Pair],
    validation: Sequence[Pair],
    card: DatasetCard,
    settings: Sequence[UNetSettings],
    progress: Progress = silent,
) -> TrainedUNet:
    """Train with each of `settings` for the whole of its time, and return what is best on the validation images."""
    trained = [train_unet(training, validation, card, one, progress) for one in settings]
    return max(trained, key=lambda one: one.validation_dice)


def train_unet(
    training: Sequence[Pair],
    validation: Sequence[Pair],
    card: DatasetCard,
    settings: UNetSettings,
    progress: Progress = silent,
) -> TrainedUNet:
    """Train a U-Net with AdamW and a cosine schedule over the seconds that have passed.

    The same seed draws the same crops and weights; how many steps there are depends on the machine.

    Raises:
        ConfigError: if MONAI is missing.
        DataError: if there is nothing to train on or to validate, or a file cannot be read.
    """
    if not validation:
        raise DataError("no image to choose by; expected at least one in the validation split, see splits.csv")
    device = best_device()
    torch.manual_seed(settings.seed)
    network = build_unet(len(card.classes), settings.norm).to(device)
    held = [read_pair(pair, card) for pair in validation]
    crop_px = min(settings.crop_px, _round_up(max(max(mask.shape) for _, mask in held)))
    sampler = CropSampler(training, card, crop_px, settings.longer_px, settings.seed, progress)
    predict = UNetPredictor(network, crop_px, settings.longer_px, settings.precision)
    trained = TrainedUNet(predict, settings, math.nan, sum(one.numel() for one in network.parameters()))
    _Run(network, sampler, trained, held, len(card.classes), device, progress).run()
    trained.validation_dice = mean_dice(predict, held, len(card.classes))
    return trained


def mean_dice(predict: UNetPredictor, held: Sequence[tuple[np.ndarray, np.ndarray]], classes: int) -> float:
    """Return the mean Dice of images (H, W, 3) and their masks of class ids (H, W), as stage evaluate measures it."""
    scores = []
    for image, truth in held:
        probability = predict([image])[0]
        segmented = SegmentedImage(probability, decide(probability, _THRESHOLD), truth, classes)
        numbers = [number for number in range(1, classes + 1) if _occurs(segmented, number)]
        dice = [METRICS["dice"].measure(segmented.of_class(number)) for number in numbers]
        scores.append(float(np.mean(dice)) if dice else 1.0)
    return float(np.mean(scores))


def _occurs(image: SegmentedImage, number: int) -> bool:
    compared = image.of_class(number)
    return bool(compared.truth.any() or compared.predicted.any())


class _Run:
    """One training, against the clock."""

    def __init__(
        self,
        network: nn.Module,
        sampler: CropSampler,
        trained: TrainedUNet,
        held: Sequence[tuple[np.ndarray, np.ndarray]],
        classes: int,
        device: torch.device,
        progress: Progress,
    ) -> None:
        self._network, self._sampler, self._trained, self._held = network, sampler, trained, held
        self._classes, self._device, self._progress = classes, device, progress
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=0.0)
        self._best: tuple[float, dict[str, torch.Tensor]] = -1.0, {}

    def run(self) -> None:
        budget, clock, began = self._trained.settings.seconds, start_clock(self._device), time.perf_counter()
        check_s, checked_s, longest_step_s, due = self._choose_checked(clock, budget), 0.0, 0.0, 1
        while (now := clock()) + longest_step_s + check_s <= budget or not self._trained.steps:
            self._step(now / max(budget - check_s, 1e-9))
            longest_step_s = max(longest_step_s if self._trained.steps > 2 else 0.0, clock() - now)
            if (now := clock()) >= budget * due / CHECKS and checked_s + check_s <= now * _CHECKS_SHARE:
                checked_s += (check_s := self._check(clock))
                due = int(now / budget * CHECKS) + 1
            self._progress(min(round(clock()), round(budget)), round(budget), "train a U-Net, seconds")
        self._check(clock)
        self._trained.seconds, self._trained.wall_seconds = clock(), time.perf_counter() - began
        self._network.load_state_dict(self._best[1])

    def _step(self, progress: float) -> None:
        """Take a step; `progress` is 0 at the start of the schedule and 1 at its end."""
        settings = self._trained.settings
        for group in self._optimizer.param_groups:
            group["lr"] = settings.lr * _rate(progress)
        crops = self._sampler.draw(settings.batch_size)
        with autocast(settings.precision, self._device):
            logits = self._network(normalise(crops.images.to(self._device)))
        loss = ce_dice_loss(logits.float(), crops.masks.to(self._device), crops.valid.to(self._device))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._trained.steps += 1

    def _choose_checked(self, clock: Callable[[], float], budget: float) -> float:
        """Keep as many validation images, evenly drawn, as a check has time for; return the seconds it will take."""
        before = clock()
        mean_dice(self._trained.predict, self._held[:1], self._classes)
        image_s = max(clock() - before, 1e-9)
        wanted, affordable = (int(budget * share / image_s) for share in (_CHECK_SHARE, _DEAREST_CHECK_SHARE))
        count = min(max(wanted, min(_LEAST_CHECKED, affordable), 1), len(self._held))
        self._held = [self._held[place] for place in np.linspace(0, len(self._held) - 1, count).round().astype(int)]
        return image_s * count

    def _check(self, clock: Callable[[], float]) -> float:
        """Measure validation Dice, keep the weights if it is the best so far, and return the seconds it took."""
        before = clock()
        dice = mean_dice(self._trained.predict, self._held, self._classes)
        if dice >= self._best[0]:
            self._best = dice, copy.deepcopy(self._network.state_dict())
        self._trained.checks.append((clock(), dice))
        return clock() - before


def start_clock(device: torch.device) -> Callable[[], float]:
    """Return the seconds since now: those of the processor, or on an accelerator those of the wall."""
    if device.type != "cuda":
        began_cpu = time.process_time()
        return lambda: time.process_time() - began_cpu
    began = time.perf_counter()

    def elapsed() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter() - began

    return elapsed


def _rate(progress: float) -> float:
    """Return the share of the highest rate: a line up, then a cosine down to zero."""
    if progress < _WARMUP_SHARE:
        return max(progress / _WARMUP_SHARE, 0.01)
    return 0.5 + 0.5 * math.cos(math.pi * min((progress - _WARMUP_SHARE) / (1 - _WARMUP_SHARE), 1.0))


def _round_up(length: int) -> int:
    return -(-length // MULTIPLE_PX) * MULTIPLE_PX
