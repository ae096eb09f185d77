"""Score models on images at their native size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from naslora_core.data.dataset import Pair, read_image, read_mask
from naslora_core.errors import CheckpointError, DataError
from naslora_core.evaluation.metrics import METRICS
from naslora_core.progress import Progress, silent

# images (H, W, 3) uint8 RGB of any sizes -> as many (H, W) float32 foreground probabilities
Predict = Callable[[Sequence[np.ndarray]], list[np.ndarray]]

BATCH_SIZE = 4


@dataclass(frozen=True)
class Evaluation:
    """What one model did on a set of images.

    Args:
        table: one row per image; column "name" and one per metric.
        masks: predicted mask by image name, (H, W) bool packed by `np.packbits` along rows.
    """

    table: pd.DataFrame
    masks: dict[str, np.ndarray]

    def mask(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return the predicted mask of an image of `shape` (H, W), as (H, W) bool."""
        return np.unpackbits(self.masks[name], axis=1, count=shape[1]).astype(bool)


def evaluate_models(
    loaders: Mapping[str, Callable[[], Predict]],
    pairs: Sequence[Pair],
    mask_threshold: int,
    threshold: float,
    progress: Progress = silent,
) -> dict[str, Evaluation]:
    """Score several models on the same images, holding one model in memory at a time.

    Args:
        loaders: by model name, what loads it.
        pairs: image and mask files, none missing.
        mask_threshold: grey level from which a pixel of a mask file is foreground.
        threshold: probability above which a pixel is predicted foreground.
        progress: told after every image.

    Raises:
        DataError: if there is nothing to score, a file is missing or unreadable, or a mask has another size.
        CheckpointError: if a model predicts something that is no probability.
    """
    if not pairs:
        raise DataError("no image to evaluate on; expected at least one in the test split, see splits.csv")
    evaluations = {}
    for position, (model, load) in enumerate(loaders.items()):
        part = _part_of(progress, position * len(pairs), len(loaders) * len(pairs))
        evaluations[model] = evaluate_model(load(), pairs, mask_threshold, threshold, part, model)
    return evaluations


def _part_of(progress: Progress, start: int, whole: int) -> Progress:
    def report(done: int, total: int, message: str) -> None:
        progress(start + done, whole, message)

    return report


def evaluate_model(
    predict: Predict,
    pairs: Sequence[Pair],
    mask_threshold: int,
    threshold: float,
    progress: Progress = silent,
    model: str = "model",
) -> Evaluation:
    """Score one model; arguments and errors as `evaluate_models`, `model` is its name in messages."""
    rows, masks = [], {}
    for name, image, mask, probability in _predictions(predict, pairs, mask_threshold):
        _check(probability, image, name, model)
        rows.append({"name": name} | {key: METRICS[key].measure(probability, mask, threshold) for key in METRICS})
        masks[name] = np.packbits(probability > threshold, axis=1)
        progress(len(rows), len(pairs), f"evaluate {model}")
    return Evaluation(pd.DataFrame(rows), masks)


def _predictions(
    predict: Predict, pairs: Sequence[Pair], mask_threshold: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    for start in range(0, len(pairs), BATCH_SIZE):
        batch = [(pair.name, *read_pair(pair, mask_threshold)) for pair in pairs[start : start + BATCH_SIZE]]
        probabilities = predict([image for _, image, _ in batch])
        for (name, image, mask), probability in zip(batch, probabilities, strict=True):
            yield name, image, mask, probability


def read_pair(pair: Pair, mask_threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """Read an image (H, W, 3) uint8 RGB and its mask (H, W) uint8 0/1.

    Raises:
        DataError: if a file is missing or unreadable, or the sizes differ.
    """
    if pair.image is None or pair.mask is None:
        missing = "image" if pair.image is None else "mask"
        raise DataError(f"'{pair.name}' has no {missing} file; add it, then run naslora data check")
    image = read_image(pair.image)
    mask = read_mask(pair.mask, mask_threshold)
    if image.shape[:2] != mask.shape:
        raise DataError(
            f"{pair.mask} is {mask.shape[1]}x{mask.shape[0]} px, "
            f"its image is {image.shape[1]}x{image.shape[0]} px;"
            " both must have the same size. Replace the wrong one"
        )
    return image, mask


def _check(probability: np.ndarray, image: np.ndarray, name: str, model: str) -> None:
    if probability.shape != image.shape[:2]:
        raise CheckpointError(
            f"model '{model}' predicts {probability.shape} for '{name}', expected the image's {image.shape[:2]}"
        )
    if not (np.isfinite(probability).all() and probability.min() >= 0 and probability.max() <= 1):
        raise CheckpointError(
            f"model '{model}' predicts values that are no probabilities for '{name}' (NaN or outside 0..1); "
            "it has probably diverged. Train again with a smaller train.lr or model.precision: fp32"
        )
