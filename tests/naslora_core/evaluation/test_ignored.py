"""Pixels that nobody labelled: no metric sees what a model says there, and counts are those of all other pixels."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional.classification as reference
from PIL import Image
from py_sod_metrics import MAE, Emeasure

from naslora_core.data.dataset.card import IGNORED_ID, DatasetCard, SplitRule
from naslora_core.data.dataset.dataset import Pair
from naslora_core.errors import DataError
from naslora_core.evaluation.evaluate import evaluate_model
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.scores import score
from naslora_core.evaluation.segmented import SegmentedImage, decide
from naslora_core.evaluation.traits import contrast, describe_images
from naslora_core.evaluation.whole_set import WholeSet

SIZES = ((21, 34), (40, 26), (17, 17))
TOLERANCE = 1e-6
WRONG_EVERYWHERE = {"ber", "hd95", "mae"}
OF_SHAPES = ("hd95", "boundary_iou", "cl_dice", "precision_2px", "recall_2px", "f1_2px")


def draw_truth(seed: int, size: tuple[int, int], classes: int) -> np.ndarray:
    """Return ids (H, W): a rectangle of each class in a frame of ignored pixels, and ignored specks."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(size, dtype=np.uint8)
    for number in range(1, classes + 1):
        top, left = (int(rng.integers(3, side - 9)) for side in size)
        truth[top - 1 : top + 8, left - 1 : left + 8] = IGNORED_ID
        truth[top : top + 7, left : left + 7] = number
    truth[rng.random(size) < 0.05] = IGNORED_ID
    truth[:, -2:] = IGNORED_ID
    return truth


def draw_probability(seed: int, truth: np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities that are right more often than not; (H, W) of one class, else (K, H, W)."""
    rng = np.random.default_rng(seed)
    if classes == 1:
        return (0.1 + 0.35 * (truth == 1) + 0.5 * rng.random(truth.shape)).astype(np.float32)
    guess = rng.dirichlet(np.ones(classes + 1), size=truth.shape).transpose(2, 0, 1)[1:]
    hit = np.stack([truth == number for number in range(1, classes + 1)])
    return (0.5 * guess + 0.5 * hit).astype(np.float32)


def otherwise(probability: np.ndarray, ignored: np.ndarray, seed: int = 9) -> np.ndarray:
    """Return the probabilities with others where nobody labelled, certain and wrong ones among them."""
    rng = np.random.default_rng(seed)
    changed = probability.copy()
    shape = changed[..., ignored].shape
    changed[..., ignored] = np.where(rng.random(shape) < 0.5, rng.random(shape), rng.integers(0, 2, shape))
    if changed.ndim == 3:
        changed[:, ignored] /= np.maximum(changed[:, ignored].sum(axis=0), 1)
    return changed


def segmented(probability: np.ndarray, truth: np.ndarray, classes: int) -> SegmentedImage:
    return SegmentedImage(probability, decide(probability, 0.5), truth, classes)


def images(classes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return probabilities and truth of three images."""
    truths = [draw_truth(place, size, classes) for place, size in enumerate(SIZES)]
    return [(draw_probability(place, truth, classes), truth) for place, truth in enumerate(truths)]


def measured(made: Sequence[SegmentedImage], classes: int) -> tuple[dict[str, float], list[pd.DataFrame]]:
    """Return set metrics and scores of the images, and the tables of thresholds and calibration."""
    whole = WholeSet(classes)
    scores = {}
    for place, image in enumerate(made):
        whole.add(image)
        names = ("one",) if classes == 1 else tuple("abc"[:classes])
        scores |= {f"{name} of {place}": value for name, value in score(image, names).items()}
    return scores | whole.scores(), [whole.thresholds.table(), whole.calibration.table()]


@pytest.mark.parametrize("classes", [1, 3])
def test_no_number_depends_on_what_a_model_says_where_nobody_labelled(classes: int):
    given = images(classes)
    scores, tables = measured([segmented(*one, classes) for one in given], classes)
    changed = [(otherwise(probability, truth == IGNORED_ID), truth) for probability, truth in given]
    assert any((decide(a, 0.5) != decide(b, 0.5)).any() for (a, _), (b, _) in zip(given, changed, strict=True))
    other_scores, other_tables = measured([segmented(*one, classes) for one in changed], classes)
    assert len(scores) > len(METRICS)
    # Sums of the same numbers at another place in memory may differ in the last bit, distances in that of float32.
    assert scores == pytest.approx(other_scores, rel=1e-6, abs=1e-12, nan_ok=True)
    for table, other in zip(tables, other_tables, strict=True):
        pd.testing.assert_frame_equal(table, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("classes", [1, 3])
def test_what_is_wrong_on_ignored_pixels_only_scores_as_perfect(classes: int):
    made = []
    for _, truth in images(classes):
        layers = np.stack([truth == number for number in range(1, classes + 1)]).astype(np.float32)
        layers[:, truth == IGNORED_ID] = 0
        layers[0, truth == IGNORED_ID] = 1
        made.append(segmented(layers[0] if classes == 1 else layers, truth, classes))
    scores, (thresholds, _) = measured(made, classes)
    for name in set(METRICS) - {"e_measure"}:
        wanted = 0 if name in WRONG_EVERYWHERE else 1
        assert [scores[f"{name} of {place}"] for place in range(3)] == pytest.approx([wanted] * 3, abs=1e-9), name
    assert min(scores[f"e_measure of {place}"] for place in range(3)) > 0.99
    assert {name: scores[name] for name in ("iou_set", "miou", "ber_set", "ece")} == {
        "iou_set": 1, "miou": 1, "ber_set": 0, "ece": 0,
    }  # fmt: skip
    assert (thresholds.drop(columns="threshold") == 1).all(axis=None)


@pytest.mark.parametrize(
    ("name", "judge"),
    [
        ("dice", reference.binary_f1_score),
        ("iou", reference.binary_jaccard_index),
        ("precision", reference.binary_precision),
        ("recall", reference.binary_recall),
    ],
)
def test_overlap_is_that_of_torchmetrics_with_its_ignore_index(name: str, judge):
    for probability, truth in images(1):
        image = segmented(probability, truth, 1)
        found = torch.tensor(decide(probability, 0.5).ravel())
        expected = float(judge(found, torch.tensor(truth.ravel()).long(), ignore_index=IGNORED_ID))
        assert METRICS[name].measure(image.foreground) == pytest.approx(expected, abs=TOLERANCE)


def test_measures_that_ask_not_where_a_pixel_is_are_those_of_the_labelled_pixels_alone():
    for probability, truth in images(1):
        grey = np.rint(probability * 255).astype(np.uint8)
        # The stretching of the references is over what they are shown.
        shown, wanted = grey[truth != IGNORED_ID][None], (truth[truth != IGNORED_ID][None] * 255).astype(np.uint8)
        mae, e_measure = MAE(), Emeasure()
        mae.step(shown, wanted)
        e_measure.step(shown, wanted)
        image = segmented(grey / np.float32(255), truth, 1).foreground
        assert METRICS["mae"].measure(image) == pytest.approx(mae.get_results()["mae"], abs=TOLERANCE)
        expected = e_measure.get_results()["em"]["curve"].mean()
        assert METRICS["e_measure"].measure(image) == pytest.approx(expected, abs=TOLERANCE)
        found = decide(probability, 0.5)[truth != IGNORED_ID]
        balanced = sklearn.metrics.balanced_accuracy_score(truth[truth != IGNORED_ID], found)
        ber = METRICS["ber"].measure(segmented(probability, truth, 1).foreground)
        assert ber == pytest.approx(1 - balanced, abs=TOLERANCE)


def test_an_ignored_side_scores_as_an_image_without_it():
    probability, truth = images(1)[0]
    truth = np.where(truth == IGNORED_ID, 0, truth)
    truth[:, :2] = IGNORED_ID
    cut = segmented(probability[:, 2:], truth[:, 2:], 1).foreground
    whole = segmented(probability, truth, 1).foreground
    for name in ("dice", "iou", "precision", "recall", "ber", "mae", "e_measure", *OF_SHAPES):
        assert METRICS[name].measure(whole) == pytest.approx(METRICS[name].measure(cut), abs=TOLERANCE), name


def test_shapes_are_measured_as_if_truth_and_prediction_ended_where_nobody_labelled():
    for probability, truth in images(1):
        ignored = truth == IGNORED_ID
        as_background = segmented(np.where(ignored, 0, probability), np.where(ignored, 0, truth).astype(np.uint8), 1)
        image = segmented(probability, truth, 1)
        for name in OF_SHAPES:
            expected = METRICS[name].measure(as_background.foreground)
            assert METRICS[name].measure(image.foreground) == expected, name


@pytest.mark.parametrize("classes", [1, 3])
def test_set_metrics_are_those_of_torchmetrics_with_its_ignore_index(classes: int):
    given = images(classes)
    scores, _ = measured([segmented(*one, classes) for one in given], classes)
    found = torch.tensor(np.concatenate([decide(probability, 0.5).ravel() for probability, _ in given])).long()
    wanted = torch.tensor(np.concatenate([truth.ravel() for _, truth in given])).long()
    by_id = reference.multiclass_jaccard_index(
        found, wanted, num_classes=classes + 1, average="none", ignore_index=IGNORED_ID
    )
    assert scores["miou"] == pytest.approx(float(by_id.mean()), abs=TOLERANCE)
    assert scores["iou_set"] == pytest.approx(float(by_id[1:].mean()), abs=TOLERANCE)
    if classes == 1:
        guess = torch.tensor(np.concatenate([probability.ravel() for probability, _ in given]))
        expected = reference.binary_calibration_error(guess, wanted, n_bins=15, norm="l1", ignore_index=IGNORED_ID)
        assert scores["ece"] == pytest.approx(float(expected), abs=TOLERANCE)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("tells_apart", [False, True])
def test_counts_by_class_are_those_of_a_loop_over_the_labelled_pixels(classes: int, tells_apart: bool):
    for probability, truth in images(classes):
        if classes > 1 and not tells_apart:
            probability = probability.sum(axis=0)
        image = segmented(probability, truth, classes)
        expected = np.zeros((4, classes + 1), dtype=np.int64)
        present = {int(number) for number in np.unique(truth)} - {IGNORED_ID}
        for guess, wanted in zip(decide(probability, 0.5).ravel(), truth.ravel(), strict=True):
            if wanted == IGNORED_ID:
                continue
            for number in range(classes + 1):
                any_class = classes > 1 and not tells_apart and number > 0
                found = (guess > 0 and number in present) if any_class else guess == number
                expected[:, number] += (found and wanted == number, found, wanted == number, True)
        assert image.counts_by_class.tolist() == expected.tolist()


def test_probabilities_are_binned_without_the_ignored_ones():
    probability, truth = images(1)[0]
    counts, sums, wanted = segmented(probability, truth, 1).reliability
    shown = probability[truth != IGNORED_ID].astype(np.float64)
    assert counts.sum() == shown.size
    assert sums.sum() == pytest.approx(shown.sum())
    assert wanted.sum() == np.count_nonzero(truth == 1)


def save(root: Path, truth: np.ndarray, image: np.ndarray) -> tuple[list[Pair], DatasetCard]:
    card = DatasetCard(
        name="rings", title="Rings", classes=("ring",), mask_values={"ring": (1,)}, mask_ignore=(255,), licence="CC0",
        split=SplitRule(kind="listed", seed=1, train=0.5, validation=0.25, test=0.25), citation="none", source="drawn",
    )  # fmt: skip
    files = root / "image.png", root / "mask.png"
    for file, pixels in zip(files, (image, truth), strict=True):
        Image.fromarray(pixels).save(file)
    return [Pair("one", *files, "test")], card


def test_contrast_is_that_to_labelled_surroundings():
    mask = np.zeros((60, 60), dtype=bool)
    mask[10:22, 10:22] = True
    image = np.full((60, 60, 3), 100, dtype=np.uint8)
    image[9:23, 9:23] = 255
    image[mask] = 100
    ignored = (image == 255).all(axis=2)
    assert contrast(image, mask) > 1
    assert contrast(image, mask, ignored) == 0
    assert math.isnan(contrast(image, mask, ~mask))


def test_the_size_of_an_object_is_its_share_of_the_labelled_pixels(tmp_path: Path):
    truth = np.zeros((40, 50), dtype=np.uint8)
    truth[:10], truth[10:20, :20] = IGNORED_ID, 1
    traits = describe_images(*save(tmp_path, truth, np.zeros((40, 50, 3), dtype=np.uint8)))
    assert traits.loc[0, "object_share"] == 200 / 1500


def test_an_image_that_nobody_labelled_is_no_score_but_an_error_with_its_name(tmp_path: Path):
    truth = np.full((30, 30), IGNORED_ID, dtype=np.uint8)
    pairs, card = save(tmp_path, truth, np.zeros((30, 30, 3), dtype=np.uint8))
    with pytest.raises(DataError, match="mask of 'one' says nothing.*mask_ignore.*naslora data quarantine rings one"):
        evaluate_model(lambda images: [np.zeros((30, 30), dtype=np.float32)], pairs, card, 0.5)
