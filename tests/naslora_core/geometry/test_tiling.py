"""Tiles cover an image, weigh one in all, and leave no seam."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naslora_core.data.prepared.prepared import PreparedData
from naslora_core.geometry.tiling import Stitcher, Tiling, tile_starts
from naslora_core.merge.training_images import TrainingImages, describe_training
from naslora_core.predict import Predictor
from naslora_core.sam.checkpoint import load_base


def predict_tiled(predict, image, side, overlap=0.25):
    """The whole of a tiled prediction, with the number of the row at which each part begins."""
    tiling = Tiling(image.shape[:2], side, overlap)
    stitcher = Stitcher(tiling)
    bands = [band for tile in tiling.tiles if (band := stitcher.add(predict([tile.cut(image)])[0])) is not None]
    return np.concatenate([band for _, band in bands], axis=-2), [top for top, _ in bands]


def brightness(images):
    return [image.mean(axis=2, dtype=np.float32) / 255 for image in images]


def smooth_picture(height, width):
    rows, columns = np.mgrid[:height, :width]
    wave = 127 + 60 * np.sin(rows / 37) + 60 * np.cos(columns / 53)
    return np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 700), side=st.integers(32, 300), overlap=st.floats(0, 0.5))
def test_tiles_cover_every_pixel_and_their_weights_sum_to_one(length, side, overlap):
    tiling = Tiling((length, 50), side, overlap)
    starts, total = tiling.row_starts, np.zeros(length)
    for start, weights in zip(starts, tiling.row_weights, strict=True):
        assert weights.min() > 0
        total[start : start + len(weights)] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert starts[0] == 0
    assert starts[-1] + min(side, length) == length
    # Places are rounded to pixels, so one may be missing.
    assert all(before + side - after >= round(side * overlap) - 1 for before, after in pairwise(starts))


def test_a_prediction_that_does_not_depend_on_its_surroundings_is_put_together_as_it_was():
    image = np.random.default_rng(1).integers(0, 256, size=(233, 391, 3)).astype(np.uint8)
    tiled, tops = predict_tiled(brightness, image, 100)
    assert len(tops) == 3
    np.testing.assert_allclose(tiled, brightness([image])[0], atol=1e-6)
    assert tiled.max() <= 1


def test_classes_are_stitched_like_one():
    image = np.random.default_rng(2).integers(0, 256, size=(150, 90, 3)).astype(np.uint8)
    by_channel = lambda images: [i.transpose(2, 0, 1).astype(np.float32) / 765 for i in images]  # noqa: E731
    tiled, _ = predict_tiled(by_channel, image, 64)
    np.testing.assert_allclose(tiled, by_channel([image])[0], atol=1e-6)


def test_a_model_that_sees_each_tile_differently_leaves_no_step_at_a_border():
    """Each tile gets another constant; a pixel apart may differ by no more than the blending's own slope."""
    values = iter(np.linspace(0, 1, 24, dtype=np.float32))
    tiled, _ = predict_tiled(
        lambda crops: [np.full(crops[0].shape[:2], next(values))], np.zeros((300, 400, 3)), 128, 0.5
    )
    # A squared sine over 64 pixels is nowhere steeper than pi / 2 / 64 a pixel; three tiles may overlap.
    assert max(np.abs(np.diff(tiled, axis=axis)).max() for axis in (0, 1)) < 2 * np.pi / 2 / 64
    assert tiled.max() - tiled.min() > 0.5


def test_one_tile_that_covers_the_image_changes_nothing(model):
    predict = Predictor(load_base(model), "fp32")
    image = smooth_picture(200, 300)
    whole = predict([image])[0]
    for side in (None, 300, 1000):
        np.testing.assert_array_equal(predict_tiled(predict, image, side)[0], whole)


def test_a_sams_tiles_join_as_smoothly_as_their_insides(model):
    predict = Predictor(load_base(model), "fp32")
    image = smooth_picture(256, 640)
    tiling = Tiling(image.shape[:2], 256, 0.25)
    tiled, _ = predict_tiled(predict, image, 256)
    step = np.abs(np.diff(tiled, axis=1)).mean(axis=0)
    borders = sorted({edge - 1 for tile in tiling.tiles for edge in (tile.left, tile.left + tile.width)} - {-1, 639})
    assert len(borders) == 2 * (len(tiling.column_starts) - 1)
    assert step[borders].max() <= np.delete(step, borders).max()
    # Cut without blending, the same model does leave a step: what is tested can fail.
    halves = np.concatenate([predict([image[:, :320]])[0], predict([image[:, 320:]])[0]], axis=1)
    hard = np.abs(np.diff(halves, axis=1)).mean(axis=0)
    assert hard[319] > np.delete(hard, 319).max()


def test_a_large_image_is_cut_into_tiles_like_the_training_images():
    sizes = [(300, 400), (600, 500), (200, 100)]
    rows = np.zeros((3, 1))
    seen = TrainingImages.model_validate(
        describe_training(PreparedData(rows, rows, sizes, sizes, ["a", "b", "c"]))["training_images"]
    )
    assert (seen.median_side_px, seen.largest_side_px, seen.classes) == (400, 600, ("foreground",))
    assert seen.tile_side((1200, 900)) is None
    assert seen.tile_side((1201, 900)) == 400


@pytest.mark.parametrize(
    ("length", "overlap_px", "starts"), [(100, 0, [0]), (150, 20, [0, 50]), (220, 40, [0, 60, 120])]
)
def test_as_few_tiles_as_can_be_overlap_evenly(length, overlap_px, starts):
    assert tile_starts(length, 100, overlap_px) == starts
