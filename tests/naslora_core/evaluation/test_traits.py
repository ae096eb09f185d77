"""What an image is like, and the scores of images that are alike."""

import math
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.evaluation.bootstrap import bootstrap_interval
from naslora_core.evaluation.breakdown import breakdowns
from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.traits import contrast, describe_images

SIDE = 60


def lightness(grey: int) -> float:
    """Return CIELAB's L* of an sRGB grey, from the standard's formula."""
    linear = ((grey / 255 + 0.055) / 1.055) ** 2.4
    return 116 * linear ** (1 / 3) - 16


def square(side: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[10 : 10 + side, 10 : 10 + side] = True
    return mask


def test_contrast_is_the_distance_in_lightness_between_grey_object_and_grey_surroundings():
    mask = square(12)
    image = np.repeat(np.where(mask, 200, 80)[..., None], 3, axis=2).astype(np.uint8)
    # The 8 bits per channel that the conversion works with round by up to half of 100 / 255.
    assert contrast(image, mask) == pytest.approx(lightness(200) - lightness(80), abs=0.4)


def test_contrast_sees_a_difference_of_colour_alone():
    mask = square(12)
    lab = np.where(mask[..., None], (150, 160, 128), (150, 128, 128)).astype(np.uint8)
    assert contrast(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), mask) == pytest.approx(32, abs=1)


def test_contrast_looks_at_the_surroundings_only():
    mask = square(12)
    image = np.full((SIDE, SIDE, 3), 100, dtype=np.uint8)
    # 5 % of the diagonal are 4 pixels.
    image[10 + 12 + 4 :] = 255
    assert contrast(image, mask) == 0
    image[10 + 12 + 3 :] = 255
    assert contrast(image, mask) > 1


@pytest.mark.parametrize("fill", [False, True])
def test_an_image_without_object_or_without_background_has_no_contrast(fill: bool):
    assert math.isnan(contrast(np.zeros((5, 5, 3), dtype=np.uint8), np.full((5, 5), fill)))


@pytest.fixture
def described(tmp_path: Path, card: DatasetCard) -> pd.DataFrame:
    """Squares of 4 to 14 pixels, the larger the fainter, and one image without any."""
    pairs = []
    for index, side in enumerate((0, 4, 6, 8, 10, 12, 14)):
        mask = square(side)
        image = np.repeat((60 + mask * (150 - 9 * side))[..., None], 3, axis=2)
        files = tmp_path / f"i{index}.png", tmp_path / f"m{index}.png"
        for file, pixels in zip(files, (image, mask * 255), strict=True):
            Image.fromarray(pixels.astype(np.uint8)).save(file)
        pairs.append(Pair(f"{index:03d}", *files, "test"))
    return describe_images(pairs, card)


def test_images_are_in_thirds_by_size_and_by_contrast(described: pd.DataFrame):
    assert described["object_share"].tolist() == [side**2 / SIDE**2 for side in (0, 4, 6, 8, 10, 12, 14)]
    assert described["object_size"].tolist() == ["none", *(["small"] * 2), *(["medium"] * 2), *(["large"] * 2)]
    assert described["contrast_level"].tolist() == ["none", *(["high"] * 2), *(["medium"] * 2), *(["low"] * 2)]


def test_a_breakdown_has_the_images_of_each_level_its_ends_and_their_intervals(described: pd.DataFrame):
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"name": described["name"]} | {name: rng.random(7) for name in METRICS})
    by_size = breakdowns({"merged": scores}, described, seed=4)["object_size"]
    assert {level: entry["images"] for level, entry in by_size.items()} == dict(small=2, medium=2, large=2, none=1)
    assert (by_size["medium"]["from"], by_size["medium"]["to"]) == pytest.approx((64 / 3600, 100 / 3600), abs=1e-6)
    low, high = bootstrap_interval(scores["dice"].to_numpy()[3:5], 4)
    expected = {"mean": scores["dice"][3:5].mean(), "low": low, "high": high}
    assert by_size["medium"]["models"]["merged"]["dice"] == pytest.approx(expected, abs=1e-6)


def test_a_level_without_images_is_absent_and_one_without_numbers_has_no_ends(described: pd.DataFrame):
    scores = pd.DataFrame({"name": described["name"]} | dict.fromkeys(METRICS, 0.5))
    only = described[described["object_size"].isin(["small", "none"])]
    of_contrast = breakdowns({"base": scores}, only, seed=1)["contrast_level"]
    assert list(of_contrast) == ["high", "none"]
    assert (of_contrast["none"]["from"], of_contrast["none"]["to"]) == (None, None)
