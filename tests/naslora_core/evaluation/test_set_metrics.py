"""Metrics of a whole set: pooled over images, added one by one, against independent implementations."""

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as reference

from naslora_core.evaluation.segmented import SegmentedImage, decide
from naslora_core.evaluation.set_metrics import SET_METRICS
from naslora_core.evaluation.whole_set import WholeSet

SIZES = [(9, 14), (20, 6), (13, 13)]
TOLERANCE = 1e-6


def binary_set(seed: int = 0) -> list[SegmentedImage]:
    """Three images of one class, the last without an object."""
    rng = np.random.default_rng(seed)
    images = []
    for place, size in enumerate(SIZES):
        truth = (rng.random(size) < 0.3 * (place < 2)).astype(np.uint8)
        probability = (0.1 + 0.4 * truth + 0.45 * rng.random(size)).astype(np.float32)
        images.append(SegmentedImage(probability, decide(probability, 0.5), truth, 1))
    return images


def set_of_classes(classes: int = 4, absent: int = 2, seed: int = 1) -> list[SegmentedImage]:
    """Three images of several classes; one of these is neither in a truth nor in a prediction."""
    rng = np.random.default_rng(seed)
    images = []
    for size in SIZES:
        probability = rng.dirichlet(np.ones(classes + 1), size=size).transpose(2, 0, 1).astype(np.float32)[1:]
        probability[absent - 1] = 0
        truth = rng.integers(0, classes + 1, size).astype(np.uint8)
        truth[truth == absent] = 0
        images.append(SegmentedImage(probability, decide(probability, 0.5), truth, classes))
    return images


def value(name: str, images: list[SegmentedImage]) -> float:
    whole = WholeSet(images[0].class_count)
    for image in images:
        whole.add(image)
    return whole.scores()[name]


def pooled(images: list[SegmentedImage], what: str) -> np.ndarray:
    return np.concatenate([getattr(image, what).ravel() for image in images])


def test_ber_of_the_set_is_that_of_all_pixels_together_and_not_the_mean_over_images():
    images = binary_set()
    truth, predicted = pooled(images, "truth"), pooled(images, "predicted")
    expected = 1 - sklearn.metrics.balanced_accuracy_score(truth, predicted)
    assert value("ber_set", images) == pytest.approx(expected, abs=TOLERANCE)
    assert abs(np.mean([value("ber_set", [image]) for image in images]) - expected) > 0.01


def test_ber_of_several_classes_is_the_mean_over_those_in_the_truth():
    images = set_of_classes()
    truth, predicted = pooled(images, "truth"), pooled(images, "predicted")
    expected = [1 - sklearn.metrics.balanced_accuracy_score(truth == k, predicted == k) for k in (1, 3, 4)]
    assert value("ber_set", images) == pytest.approx(np.mean(expected), abs=TOLERANCE)


def test_miou_is_that_of_torchmetrics_with_the_background_and_without_absent_classes():
    images = set_of_classes()
    ids = (torch.tensor(pooled(images, what)).long() for what in ("predicted", "truth"))
    expected = float(reference.multiclass_jaccard_index(*ids, num_classes=5, average="macro"))
    assert value("miou", images) == pytest.approx(expected, abs=TOLERANCE)


def test_iou_of_the_set_leaves_the_background_out():
    images = set_of_classes()
    ids = (torch.tensor(pooled(images, what)).long() for what in ("predicted", "truth"))
    by_id = reference.multiclass_jaccard_index(*ids, num_classes=5, average="none")
    assert value("iou_set", images) == pytest.approx(float(by_id[[1, 3, 4]].mean()), abs=TOLERANCE)
    binary = binary_set()
    ids = (torch.tensor(pooled(binary, what)).long() for what in ("predicted", "truth"))
    assert value("iou_set", binary) == pytest.approx(float(reference.binary_jaccard_index(*ids)), abs=TOLERANCE)


def test_ece_is_that_of_torchmetrics():
    images = binary_set()
    probability, truth = torch.tensor(pooled(images, "probability")), torch.tensor(pooled(images, "truth")).long()
    expected = float(reference.binary_calibration_error(probability, truth, n_bins=15, norm="l1"))
    assert expected > 0.05
    assert value("ece", images) == pytest.approx(expected, abs=TOLERANCE)


def test_ece_of_several_classes_is_that_of_their_sum():
    images = set_of_classes()
    alike = [
        SegmentedImage(image.probability.sum(axis=0), np.minimum(image.predicted, 1), np.minimum(image.truth, 1), 1)
        for image in images
    ]
    assert value("ece", images) == pytest.approx(value("ece", alike), abs=TOLERANCE)


@pytest.mark.parametrize(
    ("guess", "truth", "expected"),
    [
        (0, 0, {"ber_set": 0, "iou_set": 1, "miou": 1, "ece": 0}),
        (1, 0, {"ber_set": 1, "iou_set": 0, "miou": 0, "ece": 1}),
        (0, 1, {"ber_set": 1, "iou_set": 0, "miou": 0, "ece": 1}),
        (1, 1, {"ber_set": 0, "iou_set": 1, "miou": 1, "ece": 0}),
    ],
)
def test_sets_that_are_all_object_or_all_background_have_a_value(guess: int, truth: int, expected: dict[str, float]):
    shape = (5, 7)
    image = SegmentedImage(
        np.full(shape, guess, np.float32), np.full(shape, guess, np.uint8), np.full(shape, truth, np.uint8), 1
    )
    assert {name: value(name, [image]) for name in SET_METRICS} == pytest.approx(expected)


def test_a_model_without_classes_is_judged_as_if_it_meant_each_class_of_an_images_truth():
    truth = np.array([[1, 1, 2, 0]], dtype=np.uint8)
    guess = np.array([[1, 0, 1, 1]], dtype=np.float32)
    image = SegmentedImage(guess, decide(guess, 0.5), truth, 3)
    # Of class 1 one pixel of two is found beside two wrong ones; class 2 is found beside two; class 3 is not there.
    assert value("iou_set", [image]) == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert value("miou", [image]) == pytest.approx((0 + 1 / 4 + 1 / 3) / 3)
    assert value("ber_set", [image]) == pytest.approx(((1 / 2 + 2 / 2) / 2 + (0 + 2 / 3) / 2) / 2)


@pytest.mark.parametrize("name", list(SET_METRICS))
def test_the_order_of_images_does_not_matter_and_every_metric_says_which_way_is_better(name: str):
    images = binary_set()
    assert value(name, images) == pytest.approx(value(name, images[::-1]))
    perfect = [SegmentedImage(np.float32(image.truth), image.truth, image.truth, 1) for image in images]
    metric = SET_METRICS[name]
    assert (value(name, perfect) > value(name, images)) is metric.higher_is_better
    assert value(name, perfect) == float(metric.higher_is_better)
    assert len(metric.definition) > 40


def test_the_reliability_diagram_has_the_pixels_of_each_bin():
    images = binary_set()
    whole = WholeSet(1)
    for image in images:
        whole.add(image)
    table = whole.calibration.table()
    probability, truth = pooled(images, "probability").astype(np.float64), pooled(images, "truth")
    assert table["pixels"].sum() == truth.size
    for row in table.itertuples():
        inside = (probability >= row.bin_low) & (probability < row.bin_high)
        assert row.pixels == inside.sum()
        assert row.mean_probability == pytest.approx(probability[inside].mean())
        assert row.foreground_share == pytest.approx(truth[inside].mean())


def test_certain_pixels_are_in_the_last_bin():
    ones = np.ones((3, 3), dtype=np.float32)
    whole = WholeSet(1)
    whole.add(SegmentedImage(ones, ones.astype(np.uint8), ones.astype(np.uint8), 1))
    table = whole.calibration.table()
    assert table[["bin_low", "bin_high", "pixels"]].to_numpy().tolist() == [[14 / 15, 1, 9]]
