"""Pictures of test images, chosen by a rule: the worst, the median and the best of the merged model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.dataset.ignored import without_ignored
from naslora_core.evaluation.evaluate import Evaluation
from naslora_core.evaluation.summary import DECIMALS
from naslora_core.files import write_json
from naslora_core.pictures.outlines import outline_path, view_box
from naslora_core.pictures.overlays import (
    ANY_CLASS_COLOUR,
    IGNORED_COLOUR,
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    Contour,
    class_colour,
    contours_of,
    css,
    error_areas,
    error_panel,
    join_panels,
    panel,
    panels,
)

CASES = ("worst", "median", "best")
SHOWN = ("base", "merged")
PHOTO_SIDE_PX = 640
_PNG_LEVEL = 4


def choose_cases(scores: pd.Series, size: int) -> list[tuple[str, str]]:
    """Choose the images to show.

    Args:
        scores: one per image, higher is better, indexed by image name.
        size: how many; shared evenly by worst, median and best, what remains goes to them in this order.

    Returns:
        Case and image name, worst first; every image at most once, all if there are no more than `size`.
    """
    # Ties are broken by name, so that the choice does not depend on the order of files.
    ranked = [name for _, name in sorted(zip(scores, scores.index.astype(str), strict=True))]
    size = min(size, len(ranked))
    worst, median, best = ((size + 2 - position) // 3 for position in range(3))
    middle = ranked[worst : len(ranked) - best]
    start = (len(middle) - median) // 2
    chosen = [ranked[:worst], middle[start : start + median], ranked[len(ranked) - best :]]
    return [(case, name) for case, names in zip(CASES, chosen, strict=True) for name in names]


def write_gallery(
    folder: Path, pairs: Sequence[Pair], card: DatasetCard, evaluations: Mapping[str, Evaluation], size: int
) -> None:
    """Write each image as JPEG, a strip (image, truth, base, merged, errors) as PNG, and `gallery.json`.

    Args:
        folder: gets `gallery.json`, which holds the outlines too, and `gallery/`.
        pairs: the evaluated images.
        card: says what the masks mean, and which classes there are.
        evaluations: by model name, with "base" and "merged" among them.
        size: how many images to show.
    """
    by_name = {pair.name: pair for pair in pairs}
    dice = {model: one.table.set_index("name")["dice"] for model, one in evaluations.items()}
    legend = _legend(card, evaluations)
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    for position, (case, name) in enumerate(choose_cases(dice["merged"], size), start=1):
        image, ids = read_pair(by_name[name], card)
        truth, ignored = without_ignored(ids)
        shape = (truth.shape[0], truth.shape[1])
        predicted = {model: evaluations[model].mask(name, shape) for model in SHOWN}
        judged = predicted["merged"] if ignored is None else np.where(ignored, 0, predicted["merged"])
        errors = error_areas(truth, judged)
        layers = _layers(truth, predicted, evaluations, several=len(card.classes) > 1)
        layers |= {"errors": list(errors.values())}
        file = f"gallery/{position:02d}_{case}"
        _write_pictures(folder / file, image, layers, ignored)
        entries.append(
            {
                "file": f"{file}.jpg",
                "strip": f"{file}.png",
                "name": name,
                "case": case,
                "legend": legend,
                "size": list(shape),
                "truth_share": _share(truth),
                "predicted_share": {model: _share(mask) for model, mask in predicted.items()},
                "dice": {model: round(float(scores[name]), DECIMALS) for model, scores in dice.items()},
                "view_box": list(view_box(*shape)),
                "panels": _outlines(layers, ignored),
            }
        )
    write_json(folder / "gallery.json", entries)


def _layers(
    truth: np.ndarray, predicted: Mapping[str, np.ndarray], evaluations: Mapping[str, Evaluation], several: bool
) -> dict[str, list[Contour]]:
    """Return the outlines of each panel but the last, which shows errors."""
    true = contours_of(truth) if several else [(truth, TRUTH_COLOUR)]
    marked = {model: _marks(true, evaluations[model], mask, several) for model, mask in predicted.items()}
    return {"image": [], "truth": true, **marked}


def _marks(truth: list[Contour], evaluation: Evaluation, ids: np.ndarray, several: bool) -> list[Contour]:
    """Return the outlines of a prediction panel; with several classes without the truth, as colours mean classes."""
    if not several:
        return [*truth, (ids, PREDICTION_COLOUR)]
    return contours_of(ids) if evaluation.tells_classes_apart else [(ids, ANY_CLASS_COLOUR)]


def _write_pictures(
    stem: Path, image: np.ndarray, layers: Mapping[str, list[Contour]], ignored: np.ndarray | None
) -> None:
    photo = Image.fromarray(image)
    photo.thumbnail((PHOTO_SIDE_PX, PHOTO_SIDE_PX), Image.Resampling.LANCZOS)
    photo.save(stem.with_suffix(".jpg"), quality=86)
    bare, *outlined, errors = layers.values()
    marked = panels(image, outlined, ignored)
    strip = join_panels([panel(image, bare), *marked, error_panel(image, [*_unlabelled(ignored), *errors])])
    # A twelfth larger than at Pillow's own level, in less than half the time.
    strip.save(stem.with_suffix(".png"), compress_level=_PNG_LEVEL)


def _unlabelled(ignored: np.ndarray | None) -> list[Contour]:
    return [] if ignored is None else [(ignored, IGNORED_COLOUR)]


def _outlines(layers: Mapping[str, list[Contour]], ignored: np.ndarray | None) -> dict[str, list[dict[str, str]]]:
    """Return the paths of every panel; below them, but on the bare image, what nobody labelled."""
    below = _unlabelled(ignored)
    shown = {title: contours if title == "image" else [*below, *contours] for title, contours in layers.items()}
    # The truth is in several panels.
    masks = {id(mask): mask for contours in shown.values() for mask, _ in contours}
    paths = {key: outline_path(mask) for key, mask in masks.items()}
    return {
        title: [{"path": paths[id(mask)], "colour": css(colour)} for mask, colour in contours if paths[id(mask)]]
        for title, contours in shown.items()
    }


def _legend(card: DatasetCard, evaluations: Mapping[str, Evaluation]) -> dict[str, str]:
    """Return the legend: colours by name."""
    unlabelled = {"not labelled": css(IGNORED_COLOUR)} if card.mask_ignore else {}
    if len(card.classes) == 1:
        return {"truth": css(TRUTH_COLOUR), "prediction": css(PREDICTION_COLOUR)} | unlabelled
    legend = {name: css(class_colour(number)) for number, name in enumerate(card.classes, start=1)}
    unnamed = [model for model in SHOWN if not evaluations[model].tells_classes_apart]
    return legend | {f"{model}: any class": css(ANY_CLASS_COLOUR) for model in unnamed} | unlabelled


def _share(ids: np.ndarray) -> float:
    """Return the share of an image that is not background."""
    return round(float((ids > 0).mean()), DECIMALS)
