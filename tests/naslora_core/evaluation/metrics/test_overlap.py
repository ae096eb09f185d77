import numpy as np
import pytest

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.segmented import Comparison, decide

TRUTH = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.uint8)
# Marks three pixels, two of them true.
GUESS = np.array([[0.9, 0.8, 0.7, 0], [0.5, 0.2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
EMPTY = np.zeros((4, 4), dtype=np.uint8)


def score(name: str, probability: np.ndarray, mask: np.ndarray, threshold: float = 0.5) -> float:
    return METRICS[name].measure(Comparison(probability.astype(np.float32), decide(probability, threshold) > 0, mask))


def test_dice_of_a_hand_drawn_mask_counts_shared_pixels_twice():
    assert score("dice", GUESS, TRUTH) == pytest.approx(2 * 2 / (3 + 4))


def test_iou_of_a_hand_drawn_mask_divides_by_the_pixels_of_either():
    assert score("iou", GUESS, TRUTH) == pytest.approx(2 / 5)


def test_a_pixel_is_foreground_only_above_the_threshold():
    assert score("dice", GUESS, TRUTH, threshold=0.49) == pytest.approx(2 * 3 / (4 + 4))
    assert score("dice", GUESS, TRUTH, threshold=0.5) < score("dice", GUESS, TRUTH, threshold=0.49)


def test_precision_and_recall_of_a_hand_drawn_mask_divide_by_what_was_marked_and_by_what_is_there():
    assert score("precision", GUESS, TRUTH) == pytest.approx(2 / 3)
    assert score("recall", GUESS, TRUTH) == pytest.approx(2 / 4)


def test_ber_of_a_hand_drawn_mask_weighs_object_and_background_alike():
    # Two of four object pixels are missed, one of twelve others is marked.
    assert score("ber", GUESS, TRUTH) == pytest.approx((2 / 4 + 1 / 12) / 2)


def test_ber_of_an_image_without_one_side_is_the_error_rate_of_the_other():
    one = GUESS > 0.5
    assert score("ber", one, EMPTY) == pytest.approx(3 / 16)
    assert score("ber", one, 1 - EMPTY) == pytest.approx(13 / 16)


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall", "boundary_iou"])
def test_two_empty_masks_agree_and_one_empty_mask_does_not(name: str):
    assert score(name, EMPTY, EMPTY) == 1
    assert score(name, EMPTY, TRUTH) == 0
    assert score(name, TRUTH, EMPTY) == 0


def test_dice_and_iou_of_one_image_are_tied_by_their_formula():
    rng = np.random.default_rng(0)
    probability, mask = rng.random((9, 7)), rng.integers(0, 2, (9, 7)).astype(np.uint8)
    iou = score("iou", probability, mask)
    assert score("dice", probability, mask) == pytest.approx(2 * iou / (1 + iou))


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_prefers_the_truth_and_says_which_way_is_better(name: str):
    metric = METRICS[name]
    rows, columns = np.mgrid[:24, :24]
    truth = ((rows - 10) ** 2 + (columns - 12) ** 2 < 40).astype(np.uint8)
    perfect, opposite = score(name, truth, truth), score(name, 1 - truth, truth)
    assert (perfect > opposite) is metric.higher_is_better
    assert abs(perfect - float(metric.higher_is_better)) < 0.01


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("truth", ["empty", "full", "last column", "last pixel"])
@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_every_metric_is_finite_at_its_edges(name: str, truth: str, constant: float):
    mask = np.zeros((6, 5), dtype=np.uint8)
    if truth == "full":
        mask[:] = 1
    elif truth == "last column":
        mask[:, -1] = 1
    elif truth == "last pixel":
        mask[-1, -1] = 1
    probability = np.full((6, 5), constant, dtype=np.float32)
    # E-measure divides by one pixel less than there are; a Hausdorff distance ends at the diagonal.
    most = np.hypot(6, 5) if name == "hd95" else 30 / 29
    assert 0 <= score(name, probability, mask) <= most + 1e-9
