"""clDice and the metrics that forgive two pixels, against implementations by their formulas, pixel by pixel."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.morphology import skeletonize

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import Comparison
from tests.naslora_core.evaluation.metrics.test_reference_implementations import each_case

NAMES = ("cl_dice", "precision_2px", "recall_2px", "f1_2px")


def score(name: str, predicted: np.ndarray, truth: np.ndarray) -> float:
    return METRICS[name].measure(Comparison(predicted.astype(np.float32), predicted, truth.astype(np.uint8)))


def disc(side: int, radius: int, row: int, column: int) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def mean(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0


@each_case
def test_cl_dice_is_that_of_the_skeletons_of_the_whole_masks(predicted: np.ndarray, truth: np.ndarray):
    if predicted.any() and truth.any():
        line, true_line = skeletonize(predicted), skeletonize(truth)
        expected = mean((line & truth).sum() / line.sum(), (true_line & predicted).sum() / true_line.sum())
    else:
        expected = float(predicted.any() == truth.any())
    assert score("cl_dice", predicted, truth) == pytest.approx(expected, abs=1e-12)


@each_case
def test_forgiven_pixels_are_those_within_two_by_all_distances(predicted: np.ndarray, truth: np.ndarray):
    if predicted.any() and truth.any():
        distances = cdist(np.argwhere(predicted), np.argwhere(truth))
        precision, recall = (distances.min(axis=1) <= 2).mean(), (distances.min(axis=0) <= 2).mean()
    else:
        precision = recall = float(predicted.any() == truth.any())
    assert score("precision_2px", predicted, truth) == pytest.approx(precision, abs=1e-12)
    assert score("recall_2px", predicted, truth) == pytest.approx(recall, abs=1e-12)
    assert score("f1_2px", predicted, truth) == pytest.approx(mean(precision, recall), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_two_empty_masks_agree_and_one_empty_mask_does_not(name: str):
    empty, one = np.zeros((9, 9), dtype=bool), disc(9, 2, 4, 4)
    assert score(name, empty, empty) == 1
    assert score(name, empty, one) == score(name, one, empty) == 0


@pytest.mark.parametrize(("shift_px", "expected"), [(0, 1), (1, 1), (2, 1), (3, 0)])
def test_a_line_beside_the_true_one_is_right_up_to_two_pixels(shift_px: int, expected: float):
    truth = np.zeros((30, 30), dtype=bool)
    truth[:, 10] = True
    assert score("f1_2px", np.roll(truth, shift_px, axis=1), truth) == expected
    assert score("dice", np.roll(truth, shift_px, axis=1), truth) == (shift_px == 0)


def test_cl_dice_asks_for_the_line_and_hardly_for_its_width():
    truth = np.zeros((40, 60), dtype=bool)
    truth[20:23] = True
    broken, wide = truth.copy(), truth.copy()
    broken[:, 20:40] = False
    wide[18:25] = True
    assert score("cl_dice", wide, truth) == 1
    assert score("cl_dice", broken, truth) == pytest.approx(mean(1, 2 / 3), abs=0.03)
    assert score("dice", wide, truth) < score("dice", broken, truth)


@pytest.mark.parametrize("radius", [30, 60, 100])
def test_thick_objects_are_scored_alike_at_any_scale(radius: int):
    # From a radius of 33 px on, every second pixel is thinned, from 65 px on every third.
    side = 4 * radius
    truth = disc(side, radius, side // 2, side // 2)
    bar = disc(side, radius, side // 2, side // 2 + radius // 2) | disc(side, radius // 3, side // 2, radius)
    assert score("cl_dice", truth, truth) == 1
    line, true_line = skeletonize(bar), skeletonize(truth)
    exact = mean((line & truth).sum() / line.sum(), (true_line & bar).sum() / true_line.sum())
    assert score("cl_dice", bar, truth) == pytest.approx(exact, abs=0.06)


def test_beside_a_thick_object_a_thin_one_keeps_every_pixel_of_its_line():
    truth = disc(300, 70, 100, 100)
    line = np.zeros_like(truth)
    line[250, 20:280] = True
    thick_alone = Comparison(truth.astype(np.float32), truth, truth | line)
    of_line = np.count_nonzero(skeletonize(line))
    of_disc = np.count_nonzero(skeletonize(truth))
    found = mean(1, of_disc / (of_disc + of_line))
    assert METRICS["cl_dice"].measure(thick_alone) == pytest.approx(found, abs=0.05)
    assert score("cl_dice", line, truth | line) == pytest.approx(mean(1, of_line / (of_disc + of_line)), abs=0.05)
