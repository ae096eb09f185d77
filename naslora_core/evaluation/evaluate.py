"""Score models on images at their native size."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.errors import CheckpointError, DataError
from naslora_core.evaluation.scores import score
from naslora_core.evaluation.segmented import SegmentedImage, decide
from naslora_core.evaluation.whole_set import WholeSet
from naslora_core.progress import Progress, silent

# images (H, W, 3) uint8 RGB of any sizes -> as many probabilities, float32: (H, W) that a pixel is foreground, or
# (K, H, W) that it is of each class
Predict = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
Model = TypeVar("Model", bound=Predict)

BATCH_SIZE = 4


@dataclass(frozen=True)
class Evaluation:
    """Predictions and scores of one model on a set of images.

    Args:
        table: one row per image; column "name", one per metric, and of several classes those that `score` names.
        masks: what was predicted by image name, (H, W) uint8 packed by zlib.
        tells_classes_apart: whether the masks hold class ids; else 1 is foreground of any class.
        whole: what was measured of the set as a whole.
    """

    table: pd.DataFrame
    masks: dict[str, bytes]
    tells_classes_apart: bool
    whole: WholeSet

    def mask(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return the predicted mask of an image of `shape` (H, W), as (H, W) uint8; 0 is the background."""
        return np.frombuffer(zlib.decompress(self.masks[name]), dtype=np.uint8).reshape(shape)


def evaluate_models(
    loaders: Mapping[str, Callable[[], Model]],
    pairs: Sequence[Pair],
    card: DatasetCard,
    threshold: float,
    progress: Progress = silent,
    then: Callable[[str, Model, Evaluation], None] | None = None,
) -> dict[str, Evaluation]:
    """Score several models on the same images, holding one model in memory at a time.

    Args:
        loaders: by model name, what loads it.
        pairs: image and mask files, none missing.
        card: says what the masks mean, and which classes there are.
        threshold: probability above which a pixel is predicted foreground; see `decide` for several classes.
        progress: called after every image.
        then: called with every model and its scores, as long as that is in memory.

    Raises:
        DataError: if there is nothing to score, a file is missing or unreadable, a mask has another size, or nobody
            labelled any pixel of it.
        CheckpointError: if a model predicts something that is no probability.
    """
    if not pairs:
        raise DataError("no image to evaluate on; expected at least one in the test split, see splits.csv")
    evaluations = {}
    for position, (model, load) in enumerate(loaders.items()):
        part = _part_of(progress, position * len(pairs), len(loaders) * len(pairs))
        predict = load()
        evaluations[model] = evaluate_model(predict, pairs, card, threshold, part, model)
        if then is not None:
            then(model, predict, evaluations[model])
        # Before the next one is loaded.
        del predict
    return evaluations


def _part_of(progress: Progress, start: int, whole: int) -> Progress:
    def report(done: int, total: int, message: str) -> None:
        progress(start + done, whole, message)

    return report


def evaluate_model(
    predict: Predict,
    pairs: Sequence[Pair],
    card: DatasetCard,
    threshold: float,
    progress: Progress = silent,
    model: str = "model",
) -> Evaluation:
    """Score one model; arguments and errors as `evaluate_models`, `model` is its name in messages."""
    rows: list[dict[str, Any]] = []
    masks, tells_apart, whole = {}, False, WholeSet(len(card.classes))
    for name, truth, probability in _predictions(predict, pairs, card):
        _check(probability, truth, len(card.classes), f"model '{model}' predicts", name)
        predicted = decide(probability, threshold)
        if (truth == IGNORED_ID).all():
            raise DataError(
                f"the mask of '{name}' says nothing: all its pixels are in mask_ignore of dataset.yaml, so there is "
                f"nothing to score; label it, or run naslora data quarantine {card.name} {name}"
            )
        image = SegmentedImage(probability, predicted, truth, len(card.classes))
        rows.append({"name": name} | score(image, card.classes))
        whole.add(image)
        masks[name] = zlib.compress(predicted.tobytes(), level=1)
        tells_apart = image.tells_classes_apart
        progress(len(rows), len(pairs), f"evaluate {model}")
    return Evaluation(pd.DataFrame(rows), masks, tells_apart, whole)


def _predictions(
    predict: Predict, pairs: Sequence[Pair], card: DatasetCard
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for start in range(0, len(pairs), BATCH_SIZE):
        batch = [(pair.name, *read_pair(pair, card)) for pair in pairs[start : start + BATCH_SIZE]]
        probabilities = predict([image for _, image, _ in batch])
        for (name, _, truth), probability in zip(batch, probabilities, strict=True):
            yield name, truth, probability


def _check(probability: np.ndarray, truth: np.ndarray, classes: int, what: str, name: str) -> None:
    by_class = (classes, *truth.shape)
    if probability.shape != truth.shape and (classes == 1 or probability.shape != by_class):
        several = "" if classes == 1 else f" or, by class, {by_class}"
        raise CheckpointError(
            f"{what} {probability.shape} for '{name}', expected the image's {truth.shape}{several}; "
            "if the classes have changed, run the stages before this one again"
        )
    if not (np.isfinite(probability).all() and probability.min() >= 0 and probability.max() <= 1):
        raise CheckpointError(
            f"{what} values that are no probabilities for '{name}' (NaN or outside 0..1); "
            "it has probably diverged. Train again with a smaller train.lr or model.precision: fp32"
        )
