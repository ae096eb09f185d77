"""Every metric against an independent implementation of the same definition, on random masks and at the edges."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as reference
from monai.metrics import compute_hausdorff_distance
from py_sod_metrics import MAE, Emeasure, Smeasure, WeightedFmeasure

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import Comparison

SHAPE = (23, 31)
MASKS = ("blobs", "random", "one pixel", "at the border", "thin line", "full", "empty")
TOLERANCE = 1e-6


def draw(kind: str, seed: int) -> np.ndarray:
    """Return a bool mask of SHAPE."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, dtype=bool)
    if kind == "blobs":
        rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
        for _ in range(3):
            row, column, radius = rng.integers(0, SHAPE[0]), rng.integers(0, SHAPE[1]), rng.integers(2, 7)
            mask |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    elif kind == "random":
        mask = rng.random(SHAPE) < rng.uniform(0.1, 0.6)
    elif kind == "one pixel":
        mask[rng.integers(0, SHAPE[0]), rng.integers(0, SHAPE[1])] = True
    elif kind == "at the border":
        mask[: rng.integers(2, 9), rng.integers(10, 20) :] = True
    elif kind == "thin line":
        mask[rng.integers(0, SHAPE[0]), 2:-3] = True
    elif kind == "full":
        mask[:] = True
    return mask


CASES = [
    pytest.param(draw(first, 3 * place), draw(second, 3 * place + 1), id=f"{first}, {second}")
    for place, (first, second) in enumerate((first, second) for first in MASKS for second in MASKS)
]
each_case = pytest.mark.parametrize(("predicted", "truth"), CASES)


def score(name: str, predicted: np.ndarray, truth: np.ndarray, probability: np.ndarray | None = None) -> float:
    probability = predicted.astype(np.float32) if probability is None else probability
    return METRICS[name].measure(Comparison(probability, predicted, truth.astype(np.uint8)))


@each_case
@pytest.mark.parametrize(
    ("name", "judge"),
    [
        ("dice", reference.binary_f1_score),
        ("iou", reference.binary_jaccard_index),
        ("precision", reference.binary_precision),
        ("recall", reference.binary_recall),
    ],
)
def test_overlap_is_that_of_torchmetrics(name: str, judge: Callable, predicted: np.ndarray, truth: np.ndarray):
    both_empty = not (predicted.any() or truth.any())
    # torchmetrics gives 0 where there is nothing to divide by; two empty masks agree here.
    expected = 1 if both_empty else float(judge(torch.tensor(predicted.ravel()), torch.tensor(truth.ravel()).long()))
    assert score(name, predicted, truth) == pytest.approx(expected, abs=TOLERANCE)


@each_case
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_ber_is_one_minus_the_balanced_accuracy_of_scikit_learn(predicted: np.ndarray, truth: np.ndarray):
    expected = 1 - sklearn.metrics.balanced_accuracy_score(truth.ravel(), predicted.ravel())
    assert score("ber", predicted, truth) == pytest.approx(expected, abs=TOLERANCE)


@each_case
@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges")
def test_hd95_is_that_of_monai_and_the_diagonal_where_no_distance_exists(predicted: np.ndarray, truth: np.ndarray):
    if predicted.any() and truth.any():
        masks = (torch.tensor(mask[None, None]).float() for mask in (predicted, truth))
        expected = float(compute_hausdorff_distance(*masks, include_background=True, percentile=95))
    else:
        expected = math.hypot(*SHAPE) if predicted.any() or truth.any() else 0
    assert score("hd95", predicted, truth) == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


def test_hd95_is_exact_on_a_large_image_too():
    rows, columns = np.mgrid[:1500, :2000]
    predicted = (rows - 300) ** 2 + (columns - 400) ** 2 < 90**2
    truth = (rows - 1200) ** 2 + (columns - 1700) ** 2 < 50**2
    masks = (torch.tensor(mask[None, None]).float() for mask in (predicted, truth))
    expected = float(compute_hausdorff_distance(*masks, include_background=True, percentile=95))
    assert score("hd95", predicted, truth) == pytest.approx(expected, rel=TOLERANCE)


@each_case
@pytest.mark.parametrize("ratio_px", [1, 3])
def test_boundary_iou_follows_its_formula(predicted: np.ndarray, truth: np.ndarray, ratio_px: int):
    # At this size 2 % of the diagonal round to one pixel; an image three times as large has a band of two.
    predicted, truth = (np.kron(mask, np.ones((ratio_px, ratio_px), dtype=bool)) for mask in (predicted, truth))
    width = round(0.02 * math.hypot(*truth.shape))
    assert width == {1: 1, 3: 2}[ratio_px]
    ours, theirs = (band(mask, width) for mask in (predicted, truth))
    union = (ours | theirs).sum()
    expected = (ours & theirs).sum() / union if union else 1
    assert score("boundary_iou", predicted, truth) == pytest.approx(expected, abs=TOLERANCE)


def band(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the mask's pixels that see a pixel outside it, or outside the image, in a square window."""
    padded = np.pad(mask, width)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * width + 1, 2 * width + 1))
    return mask & ~windows.all(axis=(2, 3))


SALIENCY: dict[str, Callable[[], Any]] = {
    "mae": MAE,
    "s_measure": lambda: Smeasure(alpha=0.5),
    "e_measure": Emeasure,
    "weighted_f_b1": lambda: WeightedFmeasure(beta=1),
    "weighted_f_b03": lambda: WeightedFmeasure(beta=0.3),
}


@pytest.mark.parametrize("name", SALIENCY)
@pytest.mark.parametrize("kind", ["blobs", "random", "one pixel", "thin line", "full"])
def test_saliency_measures_are_those_of_pysodmetrics(name: str, kind: str):
    truth = draw(kind, 11)
    noise = np.random.default_rng(12).random(SHAPE)
    grey = np.rint(255 * (0.2 + 0.4 * truth + 0.3 * noise)).astype(np.uint8)
    judge = SALIENCY[name]()
    judge.step(grey, truth.astype(np.uint8) * 255)
    results = judge.get_results()
    expected = results["em"]["curve"].mean() if name == "e_measure" else next(iter(results.values()))
    probability = grey / np.float32(255)
    assert score(name, probability > 0.5, truth, probability) == pytest.approx(expected, abs=TOLERANCE)
