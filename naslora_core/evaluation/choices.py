"""What choices at test time gain and cost, one at a time: flips, overlap of parts, threshold."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from naslora_core.config import Flips
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.evaluation.bootstrap import bootstrap_interval
from naslora_core.evaluation.evaluate import BATCH_SIZE
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import SegmentedImage, decide
from naslora_core.evaluation.summary import DECIMALS
from naslora_core.progress import Progress, silent

# some flips from the fewest on, an overlap -> images (H, W, 3) uint8 -> their probabilities with each of them in turn,
# as `Predict` gives them
PredictWays = Callable[[Sequence[Flips], float], Callable[[Sequence[np.ndarray]], Iterator[list[np.ndarray]]]]

_FLIPS: tuple[Flips, ...] = ("none", "horizontal", "all")
_OVERLAPS, _USUAL_THRESHOLD = (0.0, 0.0625, 0.25), 0.5
# Evenly spaced; enough to see a gain that is worth its time.
_MOST_IMAGES = 16
# An image seen in parts costs as much as it has parts; of a larger one its middle stands for it.
_MIDDLE_PX = 1024
# Predicted together, as stage evaluate predicts all others: at most so many images, of at most so many pixels in all
# unless one alone has more.
_TOGETHER, _PIXELS_TOGETHER = BATCH_SIZE, 4 * 1024**2


@dataclass(frozen=True)
class Usage:
    """How a model is used: whose flips are averaged, how much parts overlap, and the threshold (see `decide`)."""

    flips: Flips
    overlap: float
    threshold: float


@dataclass(frozen=True)
class Option:
    """One value that a setting may have, all others being as they are in use."""

    setting: str
    value: str
    usage: Usage


@dataclass(frozen=True)
class Measured:
    """Dice by option and image (O, N), and the median CPU seconds an image takes by flips and overlap."""

    options: Sequence[Option]
    dice: np.ndarray
    seconds: dict[tuple[Flips, float], float]


def measure_choices(
    predict_with: PredictWays,
    in_use: Usage,
    sees_parts: bool,
    chosen_threshold: float,
    validation: Sequence[Pair],
    card: DatasetCard,
    seed: int,
    progress: Progress = silent,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Measure every choice at test time on at most `_MOST_IMAGES` validation images.

    Args:
        predict_with: returns what predicts with given flips and overlap. It is asked for all flips of images that are
            seen whole at once, as each mean goes on where the one before ended.
        in_use: how the model is used.
        sees_parts: whether it sees images part by part, so that there is something to overlap.
        chosen_threshold: by stage merge; without meaning for several classes, which need no threshold.
        validation: image and mask files. None of the test split: what is chosen by these numbers is fitted to them.
        card: says what the masks mean.
        seed: of the bootstrap.
        progress: called after every image.

    Returns:
        JSON-able: images, middle_px, and by option what `summarise_options` says; and the CPU seconds of an image, see
        `seconds_by_option`.
    """
    pairs = validation[:: -(-len(validation) // _MOST_IMAGES)]
    middle_px = _MIDDLE_PX if sees_parts else None
    options = find_options(in_use, sees_parts, chosen_threshold if len(card.classes) == 1 else None)
    measured = measure_options(options, predict_with, pairs, card, middle_px, progress)
    found = {"images": len(pairs), "middle_px": middle_px, "options": summarise_options(measured, in_use, seed)}
    return found, seconds_by_option(measured)


def find_options(in_use: Usage, sees_parts: bool, chosen_threshold: float | None) -> list[Option]:
    """Return the options worth measuring, with those in use among them; no threshold where none was chosen."""
    overlaps = sorted({*_OVERLAPS, in_use.overlap}) if sees_parts else []
    thresholds = [] if chosen_threshold is None else sorted({_USUAL_THRESHOLD, chosen_threshold, in_use.threshold})
    return [
        *(Option("flips", flips, replace(in_use, flips=flips)) for flips in _FLIPS),
        *(Option("overlap", f"{overlap:g}", replace(in_use, overlap=overlap)) for overlap in overlaps),
        *(Option("threshold", f"{value:g}", replace(in_use, threshold=value)) for value in thresholds),
    ]


def measure_options(
    options: Sequence[Option],
    predict_with: PredictWays,
    pairs: Sequence[Pair],
    card: DatasetCard,
    middle_px: int | None = None,
    progress: Progress = silent,
) -> Measured:
    """Measure the Dice of every option on every image, a few of which are predicted in all ways before the next.

    Args:
        options: see `find_options`.
        predict_with, card, progress: see `measure_choices`.
        pairs: image and mask files.
        middle_px: side of the middle part of larger images that stands for them; None takes them whole.
    """
    ways = list(dict.fromkeys((option.usage.flips, option.usage.overlap) for option in options))
    dice, seconds = np.empty((len(options), len(pairs))), {way: list[float]() for way in ways}
    done = 0
    for images, truths in _batches(pairs, card, middle_px):
        columns = range(done, done + len(images))
        for together in _together(ways, middle_px is not None):
            found, taken = predict_with([flips for flips, _ in together], together[0][1])(images), 0.0
            for way in together:
                started = time.process_time()
                probabilities = next(found)
                taken += time.process_time() - started
                seconds[way].append(taken / len(images))
                for row, option in enumerate(options):
                    if (option.usage.flips, option.usage.overlap) == way:
                        dice[row, columns] = [
                            _dice(probability, option.usage.threshold, truth, len(card.classes))
                            for probability, truth in zip(probabilities, truths, strict=True)
                        ]
        done += len(images)
        progress(done, len(pairs), "choices at test time")
    return Measured(options, dice, {way: statistics.median(taken) for way, taken in seconds.items()})


def _batches(
    pairs: Sequence[Pair], card: DatasetCard, middle_px: int | None
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Yield images and their masks, as many as are predicted together."""
    images: list[np.ndarray] = []
    truths: list[np.ndarray] = []
    for pair in pairs:
        image, truth = (_middle(pixels, middle_px) for pixels in read_pair(pair, card))
        pixels = sum(mask.size for mask in (*truths, truth))
        if images and (len(images) == _TOGETHER or pixels > _PIXELS_TOGETHER):
            yield images, truths
            images, truths = [], []
        images.append(image)
        truths.append(truth)
    yield images, truths


def _together(ways: Sequence[tuple[Flips, float]], sees_parts: bool) -> list[list[tuple[Flips, float]]]:
    """Return the ways that share predictions, and so are timed together: the flips of images that are seen whole."""
    if sees_parts:
        return [[way] for way in ways]
    return [[way for way in ways if way[1] == overlap] for overlap in dict.fromkeys(overlap for _, overlap in ways)]


def summarise_options(measured: Measured, in_use: Usage, seed: int) -> list[dict[str, Any]]:
    """Return by option its setting, value, whether it is in use, mean Dice, and gain over what is in use.

    The gain has mean, low and high of the paired bootstrap interval over images.
    """
    usages = [option.usage for option in measured.options]
    baseline = measured.dice[usages.index(in_use)]
    rows = []
    for option, dice in zip(measured.options, measured.dice, strict=True):
        gain = dice - baseline
        low, high = bootstrap_interval(gain, seed)
        bounds = {"mean": float(gain.mean()), "low": low, "high": high}
        rows.append(
            {
                "setting": option.setting,
                "value": option.value,
                "in_use": option.usage == in_use,
                "dice": round(float(dice.mean()), DECIMALS),
                "gain": {name: round(bound, DECIMALS) for name, bound in bounds.items()},
            }
        )
    return rows


def seconds_by_option(measured: Measured) -> dict[str, float]:
    """Return the median CPU seconds an image takes, by "setting value"; a threshold takes none."""
    return {
        f"{option.setting} {option.value}": measured.seconds[option.usage.flips, option.usage.overlap]
        for option in measured.options
        if option.setting != "threshold"
    }


def _middle(pixels: np.ndarray, side: int | None) -> np.ndarray:
    if side is None:
        return pixels
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _dice(probability: np.ndarray, threshold: float, truth: np.ndarray, classes: int) -> float:
    """Return the Dice of an image as `score` does: of several classes the mean over those that occur."""
    image = SegmentedImage(probability, decide(probability, threshold), truth, classes)
    if classes == 1:
        return METRICS["dice"].measure(image.foreground)
    present = [int(number) for number in np.union1d(image.truth, image.predicted) if number]
    return float(np.mean([METRICS["dice"].measure(image.of_class(number)) for number in present])) if present else 1.0
