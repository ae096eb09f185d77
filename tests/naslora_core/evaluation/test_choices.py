"""Choices at test time are measured one at a time, on images that are not of the test split."""

import time
from typing import Any

import numpy as np
import pytest

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.data.dataset.encoding import read_pair
from naslora_core.evaluation.choices import (
    Usage,
    find_options,
    measure_choices,
    measure_options,
    seconds_by_option,
    summarise_options,
)
from naslora_core.evaluation.evaluate import evaluate_model

IN_USE = Usage("none", 0.25, 0.5)


def names(options: Any) -> list[str]:
    return [f"{option.setting} {option.value}" for option in options]


def predict_with(flips: str, overlap: float) -> Any:
    """The brighter the likelier; each way of use shifts it by something of its own."""
    shift = {"none": 0.2, "horizontal": 0.25, "all": 0.3}[flips] + overlap / 5

    def predict(images: Any) -> list[np.ndarray]:
        return [np.float32((image.mean(axis=2) / 255 + shift).clip(0, 1)) for image in images]

    return predict


def ways_of(predict_with: Any) -> Any:
    """Ways to predict images with several flips, from what predicts them with given flips and overlap."""
    return lambda flips, overlap: lambda images: (predict_with(name, overlap)(images) for name in flips)


def test_options_hold_what_is_in_use_and_what_the_model_can_do() -> None:
    whole = find_options(IN_USE, sees_parts=False, chosen_threshold=0.5)
    assert names(whole) == ["flips none", "flips horizontal", "flips all", "threshold 0.5"]
    other = find_options(Usage("all", 0.1, 0.7), sees_parts=True, chosen_threshold=0.35)
    assert names(other)[3:] == [
        *("overlap 0", "overlap 0.0625", "overlap 0.1", "overlap 0.25"),
        *("threshold 0.35", "threshold 0.5", "threshold 0.7"),
    ]
    assert [option.value for option in other if option.usage == Usage("all", 0.1, 0.7)] == ["all", "0.1", "0.7"]
    several = find_options(IN_USE, sees_parts=False, chosen_threshold=None)
    assert names(several) == ["flips none", "flips horizontal", "flips all"]


def test_dice_is_what_stage_evaluate_measures(pairs: list[Pair], card: DatasetCard) -> None:
    options = find_options(IN_USE, sees_parts=True, chosen_threshold=0.35)
    measured = measure_options(options, ways_of(predict_with), pairs, card)
    for option, dice in zip(options, measured.dice, strict=True):
        predict = predict_with(option.usage.flips, option.usage.overlap)
        table = evaluate_model(predict, pairs, card, option.usage.threshold).table
        np.testing.assert_allclose(dice, table["dice"])
    assert len(np.unique(measured.dice.mean(axis=1))) > 4
    assert sorted(seconds_by_option(measured)) == sorted(set(names(options)) - {"threshold 0.35", "threshold 0.5"})


def test_what_flips_share_is_in_the_seconds_of_each(pairs: list[Pair], card: DatasetCard) -> None:
    def slow(flips: Any, overlap: float) -> Any:
        def predict(images: list[np.ndarray]) -> Any:
            for name in flips:
                until = time.process_time() + 0.02 * len(images)
                while time.process_time() < until:
                    pass
                yield predict_with(name, overlap)(images)

        return predict

    options = find_options(IN_USE, sees_parts=False, chosen_threshold=None)
    took = list(measure_options(options, slow, pairs[:3], card).seconds.values())
    assert 0.02 <= took[0] < took[1] - 0.015 < took[2] - 0.03
    alone = measure_options(options, slow, pairs[:1], card, middle_px=30).seconds.values()
    assert all(seconds < 0.035 for seconds in alone)


def test_images_are_predicted_together_as_far_as_memory_allows(
    pairs: list[Pair], card: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is predicted together, each image has the Dice that it has alone."""
    options, seen = find_options(IN_USE, sees_parts=False, chosen_threshold=None), []

    def counting(flips: Any, overlap: float) -> Any:
        def predict(images: list[np.ndarray]) -> Any:
            seen.append(len(images))
            return (predict_with(name, overlap)(images) for name in flips)

        return predict

    six = pairs[:1] * 6
    together = measure_options(options, counting, six, card).dice
    assert seen == [4, 2]
    pixels = read_pair(pairs[0], card)[1].size
    for allowed, expected in ((2.5 * pixels, [2, 2, 2]), (0.5 * pixels, [1] * 6)):
        seen.clear()
        monkeypatch.setattr("naslora_core.evaluation.choices._PIXELS_TOGETHER", allowed)
        np.testing.assert_array_equal(measure_options(options, counting, six, card).dice, together)
        assert seen == expected


def test_the_gain_is_paired_and_of_what_is_in_use_nothing(pairs: list[Pair], card: DatasetCard) -> None:
    options = find_options(IN_USE, sees_parts=False, chosen_threshold=0.35)
    measured = measure_options(options, ways_of(predict_with), pairs, card)
    rows = summarise_options(measured, IN_USE, seed=1)
    assert [row["value"] for row in rows if row["in_use"]] == ["none", "0.5"]
    for row, dice in zip(rows, measured.dice, strict=True):
        gain = dice - measured.dice[0]
        assert row["dice"] == pytest.approx(dice.mean(), abs=1e-6)
        assert row["gain"]["mean"] == pytest.approx(gain.mean(), abs=1e-6)
        assert gain.min() - 1e-6 <= row["gain"]["low"] <= row["gain"]["mean"] <= row["gain"]["high"]
        assert row["gain"]["high"] <= gain.max() + 1e-6


def test_of_many_images_some_stand_for_all_and_of_large_ones_their_middle(
    pairs: list[Pair], card: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    def seen_by(flips: str, overlap: float) -> Any:
        predict = predict_with(flips, overlap)
        return lambda images: shapes.extend(image.shape[:2] for image in images) or predict(images)

    found, _ = measure_choices(ways_of(seen_by), IN_USE, False, 0.5, pairs * 5, card, seed=1)
    assert (found["images"], found["middle_px"]) == (12, None)
    assert len(shapes) == 12 * 3
    shapes.clear()
    monkeypatch.setattr("naslora_core.evaluation.choices._MIDDLE_PX", 30)
    found, _ = measure_choices(ways_of(seen_by), IN_USE, True, 0.5, pairs[:1], card, seed=1)
    assert found["middle_px"] == 30
    assert set(shapes) == {(30, 30)}
    image, truth = read_pair(pairs[0], card)
    whole = evaluate_model(predict_with("none", 0.25), pairs[:1], card, 0.5).table["dice"][0]
    middle, marked = truth[5:35, 5:35] > 0, image[5:35, 5:35].mean(axis=2) / 255 + 0.25 > 0.5
    expected = 2 * (middle & marked).sum() / (middle.sum() + marked.sum())
    assert found["options"][0]["dice"] == pytest.approx(expected, abs=1e-6)
    assert whole != pytest.approx(expected, abs=1e-3)


def test_of_several_classes_dice_is_the_mean_over_those_that_occur(pairs: list[Pair], card: DatasetCard) -> None:
    plants = card.model_copy(
        update={"classes": ("leaf", "stem"), "mask_threshold": None, "mask_values": {"leaf": (128,), "stem": (255,)}}
    )
    files = pairs[:2]

    def classes_with(flips: str, overlap: float) -> Any:
        def predict(images: Any) -> list[np.ndarray]:
            bright = [np.float32(image.mean(axis=2) > 115) for image in images]
            return [np.stack([0.3 * marked, 0.7 * marked]) for marked in bright]

        return predict

    found, _ = measure_choices(ways_of(classes_with), IN_USE, False, 0.5, files, plants, seed=1)
    expected = evaluate_model(classes_with("none", 0.25), files, plants, 0.5).table["dice"].mean()
    assert [row["setting"] for row in found["options"]] == ["flips"] * 3
    assert found["options"][0]["dice"] == pytest.approx(expected, abs=1e-6)
