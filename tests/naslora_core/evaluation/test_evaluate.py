from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.errors import CheckpointError, DataError
from naslora_core.evaluation.evaluate import evaluate_model, evaluate_models
from naslora_core.evaluation.metrics import METRICS


def bright(images: list[np.ndarray]) -> list[np.ndarray]:
    return [(image.mean(axis=2) > 115).astype(np.float32) for image in images]


def test_a_right_prediction_scores_one_at_native_size(pairs: list[Pair], card: DatasetCard):
    sizes = []

    def predict(images: list[np.ndarray]) -> list[np.ndarray]:
        sizes.extend(image.shape[:2] for image in images)
        return bright(images)

    result = evaluate_model(predict, pairs, card, 0.5)
    assert list(result.table.columns) == ["name", *METRICS]
    assert list(result.table["name"]) == [pair.name for pair in pairs]
    assert (result.table["dice"] > 0.99).all()
    assert sizes == [(40, 40) if index % 2 == 0 else (48, 64) for index in range(7)]


def test_predicted_masks_come_back_as_they_were(pairs: list[Pair], card: DatasetCard):
    result = evaluate_model(bright, pairs, card, 0.5)
    for pair in pairs:
        image = np.asarray(Image.open(pair.image))
        expected = bright([image])[0] > 0.5
        assert expected.any()
        np.testing.assert_array_equal(result.mask(pair.name, image.shape[:2]), expected)


def test_models_are_loaded_one_after_the_other_and_progress_counts_all(pairs: list[Pair], card: DatasetCard):
    events = []

    def load(name: str):
        events.append(f"load {name}")
        return bright

    def progress(done: int, total: int, message: str) -> None:
        events.append((done, total))

    evaluate_models({"a": lambda: load("a"), "b": lambda: load("b")}, pairs, card, 0.5, progress)
    steps = [(done, 14) for done in range(1, 15)]
    assert events == ["load a", *steps[:7], "load b", *steps[7:]]


def test_an_empty_test_split_is_an_error(card: DatasetCard):
    with pytest.raises(DataError, match="at least one in the test split"):
        evaluate_models({}, [], card, 0.5)


def test_a_missing_mask_is_named(pairs: list[Pair], card: DatasetCard):
    broken = Pair("lonely", pairs[0].image, None, "test")
    with pytest.raises(DataError, match="'lonely' has no mask file"):
        evaluate_model(bright, [broken], card, 0.5)


def test_a_mask_of_another_size_is_named(pairs: list[Pair], card: DatasetCard, tmp_path: Path):
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(tmp_path / "small.png")
    broken = Pair("odd", pairs[0].image, tmp_path / "small.png", "test")
    with pytest.raises(DataError, match=r"small\.png is 9x9 px, its image is 40x40 px"):
        evaluate_model(bright, [broken], card, 0.5)


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.2])
def test_a_prediction_that_is_no_probability_is_an_error(pairs: list[Pair], card: DatasetCard, value: float):
    def predict(images: list[np.ndarray]) -> list[np.ndarray]:
        return [np.full(image.shape[:2], value, dtype=np.float32) for image in images]

    with pytest.raises(CheckpointError, match="model 'merged' predicts values that are no probabilities for '000'"):
        evaluate_models({"merged": lambda: predict}, pairs, card, 0.5)


def test_a_prediction_of_another_size_is_an_error(pairs: list[Pair], card: DatasetCard):
    with pytest.raises(CheckpointError, match=r"expected the image's \(40, 40\)"):
        evaluate_model(lambda images: [np.zeros((3, 3)) for _ in images], pairs, card, 0.5)
