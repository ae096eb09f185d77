"""S-measure, E-measure, weighted F and MAE against implementations written here from their papers."""

import gc
import math
import weakref

import numpy as np
import py_sod_metrics
import pytest

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import Comparison

ROWS, COLUMNS = np.mgrid[:14, :12]
TRUTH = (((ROWS - 5) ** 2 / 16 + (COLUMNS - 6) ** 2 / 9) <= 1).astype(np.uint8)
EMPTY = np.zeros_like(TRUTH)


def prediction(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random(TRUTH.shape)
    return (0.15 + 0.45 * TRUTH + 0.3 * noise).astype(np.float32)


def comparison(probability: np.ndarray, mask: np.ndarray) -> Comparison:
    return Comparison(probability, probability > 0.5, mask)


def score(name: str, probability: np.ndarray, mask: np.ndarray) -> float:
    return METRICS[name].measure(comparison(probability, mask))


def stretched(probability: np.ndarray) -> np.ndarray:
    grey = np.rint(probability.astype(np.float64) * 255)
    return (grey - grey.min()) / (grey.max() - grey.min())


def test_mae_is_the_mean_difference_of_the_stretched_prediction():
    expected = sum(abs(p - t) for p, t in zip(stretched(prediction()).flat, TRUTH.flat, strict=True)) / TRUTH.size
    assert score("mae", prediction(), TRUTH) == pytest.approx(expected)


def test_s_measure_follows_its_paper():
    p, t = stretched(prediction()), TRUTH.astype(float)

    def of_object(values: np.ndarray) -> float:
        return 2 * values.mean() / (values.mean() ** 2 + 1 + values.std(ddof=1))

    share = t.mean()
    by_object = share * of_object(p[t == 1]) + (1 - share) * of_object(1 - p[t == 0])

    def ssim(x: np.ndarray, y: np.ndarray) -> float:
        covariance = ((x - x.mean()) * (y - y.mean())).sum() / (x.size - 1)
        above = 4 * x.mean() * y.mean() * covariance
        below = (x.mean() ** 2 + y.mean() ** 2) * (x.var(ddof=1) + y.var(ddof=1))
        return above / below if above else float(below == 0)

    row, column = (round(float(axis.mean())) + 1 for axis in np.nonzero(t))
    by_region = 0.0
    for rows in (slice(0, row), slice(row, None)):
        for columns in (slice(0, column), slice(column, None)):
            by_region += ssim(p[rows, columns], t[rows, columns]) * t[rows, columns].size / t.size
    assert score("s_measure", prediction(), TRUTH) == pytest.approx(0.5 * by_object + 0.5 * by_region, rel=1e-9)


def test_s_measure_is_defined_where_the_object_lies_at_the_edge_and_upstream_is_not():
    edge = np.zeros((8, 8), dtype=np.uint8)
    edge[3:5, -1] = 1
    upstream = py_sod_metrics.Smeasure()
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        upstream.step(edge * 255, edge * 255)
    assert math.isnan(upstream.sms[0])
    assert score("s_measure", edge.astype(np.float32), edge) == pytest.approx(1)


def test_e_measure_is_the_mean_over_256_thresholds_of_its_alignment_matrix():
    grey = np.floor(stretched(prediction()) * 255)
    t = TRUTH.astype(float)
    values = []
    for threshold in range(256):
        binary = (grey >= threshold).astype(float)
        a, b = binary - binary.mean(), t - t.mean()
        align = 2 * a * b / (a * a + b * b + np.spacing(1))
        values.append(((align + 1) ** 2 / 4).sum() / (t.size - 1))
    assert score("e_measure", prediction(), TRUTH) == pytest.approx(np.mean(values), rel=1e-9)


@pytest.mark.parametrize(("name", "beta_squared"), [("weighted_f_b1", 1.0), ("weighted_f_b03", 0.3)])
def test_weighted_f_follows_its_paper_with_the_beta_in_its_name(name: str, beta_squared: float):
    # Of a rectangle, every pixel outside has one nearest pixel inside.
    t = (ROWS >= 4) & (ROWS < 9) & (COLUMNS >= 3) & (COLUMNS < 10)
    error = np.abs(stretched(prediction()) - t)
    nearest = np.clip(ROWS, 4, 8), np.clip(COLUMNS, 3, 9)
    distance = np.hypot(ROWS - nearest[0], COLUMNS - nearest[1])
    carried = error[nearest]
    offsets = np.arange(-3, 4)
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 5**2))
    kernel /= kernel.sum()
    padded = np.pad(carried, 3)
    smooth = np.zeros(t.shape)
    for row, column in np.ndindex(t.shape):
        smooth[row, column] = (padded[row : row + 7, column : column + 7] * kernel).sum()
    least = np.where(t & (smooth < error), smooth, error)
    weighted = least * np.where(t, 1, 2 - np.exp(np.log(0.5) / 5 * distance))
    true_positive = t.sum() - weighted[t].sum()
    recall = 1 - weighted[t].mean()
    precision = true_positive / (true_positive + weighted[~t].sum())
    expected = (1 + beta_squared) * precision * recall / (beta_squared * precision + recall)
    assert score(name, prediction(), t.astype(np.uint8)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "empty", "faint"),
    [("s_measure", 1, 0.98), ("mae", 0, 0.02), ("weighted_f_b1", 1, 1), ("weighted_f_b03", 1, 1)],
)
def test_an_empty_truth_is_judged_without_stretching(name: str, empty: float, faint: float):
    nothing = np.zeros(TRUTH.shape, dtype=np.float32)
    almost = nothing + np.float32(5.1 / 255)
    almost[0, 0] = 0
    assert score(name, nothing, EMPTY) == empty
    assert score(name, almost, EMPTY) == pytest.approx(faint, abs=0.001)


def test_e_measure_of_two_empty_masks_is_the_documented_value():
    pixels = EMPTY.size
    expected = 255 / 256 * pixels / (pixels - 1)
    assert score("e_measure", EMPTY.astype(np.float32), EMPTY) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["weighted_f_b1", "weighted_f_b03"])
def test_weighted_f_of_a_false_alarm_on_an_empty_truth_is_zero(name: str):
    assert score(name, TRUTH.astype(np.float32), EMPTY) == 0


def test_numerical_noise_of_a_constant_prediction_is_not_stretched_to_full_contrast():
    noise = np.random.default_rng(1).random(TRUTH.shape) * 1e-6
    flat = comparison((0.25 + noise).astype(np.float32), TRUTH).stretched
    assert np.ptp(flat) == 0
    assert flat[0, 0] == pytest.approx(0.25, abs=0.5 / 255)


def test_preparation_equals_that_of_the_reference_package_where_the_mask_is_not_empty():
    grey = np.rint(prediction() * 255).astype(np.uint8)
    reference, truth = py_sod_metrics.utils.prepare_data(grey, TRUTH * 255)
    ours = comparison(grey / np.float32(255), TRUTH)
    np.testing.assert_allclose(ours.stretched, reference, atol=1e-12)
    np.testing.assert_array_equal(ours.truth, truth)


def test_an_image_is_forgotten_once_it_is_scored():
    scored = comparison(prediction(), TRUTH)
    for name in METRICS:
        METRICS[name].measure(scored)
    left = weakref.ref(scored)
    del scored
    gc.collect()
    assert left() is None


def test_both_weighted_measures_cost_one_computation(monkeypatch):
    computed, step = [], py_sod_metrics.WeightedFmeasure.step
    monkeypatch.setattr(
        py_sod_metrics.WeightedFmeasure, "step", lambda *given, **named: computed.append(1) or step(*given, **named)
    )
    scored = comparison(prediction(), TRUTH)
    assert METRICS["weighted_f_b1"].measure(scored) != METRICS["weighted_f_b03"].measure(scored)
    assert len(computed) == 1
