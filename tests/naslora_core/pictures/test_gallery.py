import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Pair
from naslora_core.evaluation.evaluate import Evaluation
from naslora_core.pictures.gallery import choose_cases, write_gallery
from naslora_core.pictures.overlays import (
    GAP_PX,
    PANEL_SIDE_PX,
    PREDICTION_COLOUR,
    SHARED_COLOUR,
    TRUTH_COLOUR,
    error_areas,
    error_panel,
    join_panels,
    panel,
    panels,
)

NINE = pd.Series({f"image{i}": i / 10 for i in (4, 0, 8, 2, 6, 1, 7, 3, 5)})


def test_worst_median_and_best_are_chosen_by_rank():
    assert choose_cases(NINE, 6) == [
        ("worst", "image0"), ("worst", "image1"), ("median", "image3"), ("median", "image4"),
        ("best", "image7"), ("best", "image8"),
    ]  # fmt: skip
    assert choose_cases(NINE, 3) == [("worst", "image0"), ("median", "image4"), ("best", "image8")]


@pytest.mark.parametrize("size", range(1, 12))
def test_no_image_is_shown_twice_and_small_splits_are_shown_whole(size: int):
    names = [name for _, name in choose_cases(NINE, size)]
    assert len(names) == len(set(names)) == min(size, 9)
    scores = [NINE[name] for name in names]
    assert scores == sorted(scores)


def test_the_choice_does_not_depend_on_the_order_of_equal_scores():
    tied = pd.Series(0.5, index=list("dbcae"))
    assert choose_cases(tied, 2) == choose_cases(tied.sort_index(), 2) == [("worst", "a"), ("median", "c")]


def test_an_outline_follows_the_border_and_leaves_the_rest_alone():
    grey = np.full((90, 120, 3), 100, dtype=np.uint8)
    mask = np.zeros((90, 120), dtype=np.uint8)
    mask[30:60, 40:80] = 1
    drawn = np.asarray(panel(grey, [(mask, TRUTH_COLOUR)])).astype(int)
    assert np.abs(drawn[30, 60] - TRUTH_COLOUR).max() < 60
    assert (drawn[45, 60] == 100).all()
    assert (drawn[20, 60] == 100).all()


def test_a_mask_that_fills_the_image_is_outlined_along_its_edge():
    grey = np.full((60, 60, 3), 100, dtype=np.uint8)
    drawn = np.asarray(panel(grey, [(np.ones((60, 60), dtype=np.uint8), PREDICTION_COLOUR)])).astype(int)
    for edge in (drawn[0, 30], drawn[-1, 30], drawn[30, 0], drawn[30, -1]):
        assert np.abs(edge - PREDICTION_COLOUR).max() < 60
    assert (drawn[30, 30] == 100).all()


def test_an_empty_mask_draws_nothing():
    grey = np.full((30, 40, 3), 100, dtype=np.uint8)
    assert (np.asarray(panel(grey, [(np.zeros((30, 40), dtype=np.uint8), TRUTH_COLOUR)])) == 100).all()


def _outline_of_whole_picture(mask: np.ndarray, width_px: float, level: int) -> Image.Image:
    large = Image.fromarray(255 * mask).resize((3 * mask.shape[1], 3 * mask.shape[0]), Image.Resampling.BILINEAR)
    shape, margin = large.point([0] * 128 + [255] * 128), math.ceil(9 * width_px)
    blurred = ImageOps.expand(shape, margin).filter(ImageFilter.GaussianBlur(3 * width_px))
    line = ImageChops.multiply(shape, ImageOps.crop(blurred, margin).point([level] * 215 + [0] * 41))
    return line.resize(mask.shape[::-1], Image.Resampling.BOX)


@pytest.mark.parametrize("box", [(40, 61, 17, 30), (0, 30, 100, 120), (0, 90, 0, 120), (20, 21, 7, 8)])
def test_what_is_drawn_around_an_object_is_what_is_drawn_on_the_whole_picture(box: tuple[int, int, int, int]):
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    mask = np.zeros((90, 120), dtype=np.uint8)
    mask[box[0] : box[1], box[2] : box[3]] = 1
    expected = Image.fromarray(image)
    expected.paste((10, 12, 16), mask=_outline_of_whole_picture(mask, 3.2, 128))
    expected.paste(TRUTH_COLOUR, mask=_outline_of_whole_picture(mask, 1.9, 255))
    np.testing.assert_array_equal(np.asarray(panel(image, [(mask, TRUTH_COLOUR)])), np.asarray(expected))


def test_panels_of_one_image_are_those_drawn_one_by_one():
    image = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    truth, other = np.zeros((2, 400, 500), dtype=np.uint8)
    truth[100:200, 50:300] = other[150:300, 200:500] = 1
    ignored = np.zeros((400, 500), dtype=bool)
    ignored[:40] = True
    contours = [[(truth, TRUTH_COLOUR)], [(truth, TRUTH_COLOUR), (other, PREDICTION_COLOUR)], []]
    for together, of_panel in zip(panels(image, contours, ignored), contours, strict=True):
        np.testing.assert_array_equal(np.asarray(together), np.asarray(panel(image, of_panel, ignored)))


def test_large_images_shrink_with_their_proportions_and_small_ones_stay():
    assert panel(np.zeros((400, 800, 3), dtype=np.uint8)).size == (PANEL_SIDE_PX, PANEL_SIDE_PX // 2)
    assert panel(np.zeros((30, 40, 3), dtype=np.uint8)).size == (40, 30)


def test_panels_stand_side_by_side_in_a_strip():
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (21, 33, 3), dtype=np.uint8)) for _ in range(4)]
    strip = np.asarray(join_panels(pictures))
    for place, picture in enumerate(pictures):
        start = place * (33 + GAP_PX)
        np.testing.assert_array_equal(strip[:, start : start + 33, :3], np.asarray(picture))


def test_errors_are_what_is_found_missed_and_added():
    truth = np.array([[0, 1, 1, 2]], dtype=np.uint8)
    predicted = np.array([[2, 1, 0, 1]], dtype=np.uint8)
    areas = error_areas(truth, predicted)
    assert {name: mask.astype(int).tolist() for name, (mask, _) in areas.items()} == {
        "found": [[0, 1, 0, 0]],
        "missed": [[0, 0, 1, 1]],
        "extra": [[1, 0, 0, 0]],
    }


def test_errors_are_coloured_on_a_darker_image():
    grey = np.full((30, 40, 3), 200, dtype=np.uint8)
    mask = np.zeros((30, 40), dtype=bool)
    mask[10:20, 10:30] = True
    drawn = np.asarray(error_panel(grey, [(mask, SHARED_COLOUR)]))
    assert np.abs(drawn[15, 20].astype(int) - SHARED_COLOUR).max() < 40
    assert (drawn[2, 2] == round(0.55 * 200)).all()


def test_the_gallery_says_what_its_pictures_show(
    pairs: list[Pair], card: DatasetCard, evaluations: dict[str, Evaluation], tmp_path: Path
):
    write_gallery(tmp_path / "out", pairs, card, evaluations, size=3)
    entries = json.loads((tmp_path / "out" / "gallery.json").read_text(encoding="utf-8"))
    assert [entry["case"] for entry in entries] == ["worst", "median", "best"]
    assert sorted(path.name for path in (tmp_path / "out" / "gallery").iterdir()) == [
        "01_worst.jpg", "01_worst.png", "02_median.jpg", "02_median.png", "03_best.jpg", "03_best.png",
    ]  # fmt: skip
    for entry in entries:
        assert (tmp_path / "out" / entry["file"]).is_file()
        assert (tmp_path / "out" / entry["strip"]).is_file()
        assert list(entry["panels"]) == ["image", "truth", "base", "merged", "errors"]
        assert [len(drawn) for drawn in list(entry["panels"].values())[:4]] == [0, 1, 2, 2]
        expected = evaluations["base"].table.set_index("name").loc[entry["name"], "dice"]
        assert entry["dice"]["base"] == pytest.approx(expected, abs=1e-6)
        assert entry["predicted_share"]["base"] == 0.5
