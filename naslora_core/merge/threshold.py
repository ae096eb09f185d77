"""Choose the probability above which a pixel is foreground, on the validation images."""

import numpy as np

from naslora_core.config import Section
from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.merge.merged import DEFAULT_THRESHOLD
from naslora_core.sam.segmenter import PromptFreeSegmenter
from naslora_core.validation import foreground_logits

GRID = tuple(round(0.1 + 0.05 * step, 2) for step in range(17))
_DECIMALS = 6


class ThresholdChoice(Section):
    """The threshold chosen on the validation images, and what speaks for it.

    Attributes:
        chosen: a probability.
        dice: mean validation Dice by threshold.
        gain: of the chosen threshold over 0.5, on the images it was chosen on: too good by how well it fits those.
        gain_held_out: the same, each image measured with the threshold that the others choose; what to expect of
            other images.
    """

    chosen: float
    dice: dict[str, float]
    gain: float
    gain_held_out: float


def choose_threshold(
    segmenter: PromptFreeSegmenter, validation: PreparedData, precision: str = "fp32"
) -> ThresholdChoice | None:
    """Choose a model's threshold, in one pass over the validation images; None for several classes, which need none."""
    if len(validation.classes) > 1:
        return None
    return choose_by_dice(dice_by_threshold(segmenter, validation, precision))


def dice_by_threshold(segmenter: PromptFreeSegmenter, validation: PreparedData, precision: str) -> np.ndarray:
    """Return the Dice of every image with every threshold of `GRID`, (N, T) float64; of two empty masks it is 1."""
    probabilities = np.array(GRID)
    # A probability is above the threshold where the logit is above that of the threshold.
    edges = np.log(probabilities / (1 - probabilities)).astype(np.float32)
    hits, found = np.zeros((2, len(validation), len(GRID)), dtype=np.int64)
    wanted = np.zeros((len(validation), 1), dtype=np.int64)
    for row, logits, truth in foreground_logits(segmenter, validation, precision):
        of_truth = _count_above(logits[truth], edges)
        hits[row] += of_truth
        found[row] += of_truth + _count_above(logits[~truth], edges)
        wanted[row] += np.count_nonzero(truth)
    sizes = found + wanted
    return np.where(sizes > 0, 2 * hits / np.maximum(sizes, 1), 1.0)


def choose_by_dice(dice: np.ndarray) -> ThresholdChoice:
    """Choose by the one-standard-error rule: of all thresholds that cannot be told from the best, that nearest to 0.5.

    A threshold is told from the best if its mean Dice is lower by more than the standard error of the differences,
    image by image (Breiman et al. 1984, section 3.4.3). A flat optimum, or one image, leaves 0.5.

    Args:
        dice: (N, T), of N images with the thresholds of `GRID`.
    """
    place, default = _nearest_to_default(dice), GRID.index(DEFAULT_THRESHOLD)
    rows = np.arange(len(dice))
    held_out = np.array([dice[row, _nearest_to_default(dice[rows != row])] for row in rows])
    means = zip(GRID, dice.mean(axis=0), strict=True)
    return ThresholdChoice(
        chosen=GRID[place],
        dice={f"{threshold:g}": round(float(mean), _DECIMALS) for threshold, mean in means},
        gain=round(float((dice[:, place] - dice[:, default]).mean()), _DECIMALS),
        gain_held_out=round(float((held_out - dice[:, default]).mean()), _DECIMALS),
    )


def _nearest_to_default(dice: np.ndarray) -> int:
    """Return the place in `GRID` of the threshold that the one-standard-error rule chooses."""
    nearest_first = sorted(range(len(GRID)), key=lambda place: abs(GRID[place] - DEFAULT_THRESHOLD))
    if len(dice) < 2:
        return nearest_first[0]
    means = dice.mean(axis=0)
    best = max(nearest_first, key=lambda place: means[place])
    behind = dice[:, [best]] - dice
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(dice))
    return next(place for place in nearest_first if behind[:, place].mean() <= error[place])


def _count_above(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many of the values (P,) are above each of the rising edges (T,), as (T,)."""
    passed = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return passed[::-1].cumsum()[::-1][1:]
