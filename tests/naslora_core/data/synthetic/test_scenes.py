import time

import numpy as np
import pytest

from naslora_core.data.synthetic import camera
from naslora_core.data.synthetic.objects import box_around
from naslora_core.data.synthetic.palette import Palette
from naslora_core.data.synthetic.relief import Light, dome
from naslora_core.data.synthetic.scenes import Scene, SceneGenerator, _keep_visible
from naslora_core.data.synthetic.shapes import KIND_SHARES, draw_shape
from naslora_core.sam.square import PADDING_RGB


@pytest.fixture(scope="module")
def generator():
    return SceneGenerator(seed=5, side=256)


@pytest.fixture(scope="module")
def scenes(generator):
    return [generator.draw(index) for index in range(24)]


def test_a_scene_depends_on_its_seed_and_number_alone(generator):
    again = SceneGenerator(seed=5, side=256)
    first, second = generator.draw(3), again.draw(3)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.labels, second.labels)
    assert first.parents == second.parents
    assert not np.array_equal(first.image, generator.draw(4).image)


def test_no_object_or_part_is_too_small_and_some_are_tiny(scenes):
    shares = []
    for scene in scenes:
        assert scene.image.shape == (256, 256, 3)
        assert scene.image.dtype == np.uint8
        assert scene.labels.max() <= scene.object_count
        shares += [scene.mask(number).mean() for number in range(1, scene.object_count + 1)]
    assert min(shares) >= 0.001
    assert min(shares) < 0.003
    assert max(shares) > 0.2


def test_a_part_lies_within_its_whole(scenes):
    parts = 0
    for scene in scenes:
        for number, parent in enumerate(scene.parents):
            if parent:
                parts += 1
                assert scene.parents[parent] == 0
                assert not (scene.mask(number) & ~scene.mask(parent)).any()
    assert parts > 5


def test_the_mask_of_a_whole_holds_its_parts():
    scene = Scene(np.zeros((1, 4, 3), np.uint8), np.array([[0, 1, 2, 3]], np.uint8), parents=(0, 0, 1, 0))
    assert scene.mask(1).tolist() == [[False, True, True, False]]
    assert scene.mask(2).tolist() == [[False, False, True, False]]
    assert scene.object_count == 3


def test_what_is_hidden_vanishes_and_small_parts_join_their_whole():
    # Object 1 has the parts 2 (large enough) and 3 (too small); object 4 is too small, object 5 is not.
    labels = np.array([[1] * 4 + [2] * 3 + [3] + [4] + [5] * 3 + [0] * 8], np.uint8)
    kept, parents = _keep_visible(labels, [0, 0, 1, 1, 0, 0], min_area=0.1)
    assert kept.tolist() == [[1] * 4 + [2] * 3 + [1] + [0] + [3] * 3 + [0] * 8]
    assert parents == (0, 0, 1, 0)


@pytest.mark.parametrize("kind", KIND_SHARES)
def test_a_shape_has_about_the_wished_area(kind):
    areas = [
        draw_shape(np.random.default_rng(seed), 200, kind, np.array([100.0, 100.0]), 0.05).mean() for seed in range(20)
    ]
    assert 0.02 < np.mean(areas) < 0.12


def test_a_dome_rises_inside_its_shape_and_is_lit_from_the_light():
    rows, columns = np.ogrid[:41, :41]
    disc = (rows - 20) ** 2 + (columns - 20) ** 2 <= 15**2
    height = dome(np.random.default_rng(0), disc)
    assert height[20, 20] > 0.9
    assert abs(height[0, 0]) < 0.05
    facing = Light(rows=0.0, columns=1.0, gloss=0.0).on(height)
    assert facing[20, 8] > 0.1 > -0.1 > facing[20, 32]


def test_colours_of_kin_are_closer_to_their_ground():
    distances = {}
    for similarity in (0.0, 1.0):
        palettes = [Palette(np.random.default_rng(seed), similarity) for seed in range(24)]
        rng = np.random.default_rng(1)
        distances[similarity] = np.mean([np.linalg.norm(p.draw(rng) - p.background) for p in palettes])
    assert distances[1.0] < 0.5 * distances[0.0]


def test_a_wide_lens_bends_image_and_labels_alike():
    labels = np.zeros((64, 64), np.uint8)
    labels[20:44, 10:54] = 1
    image = np.repeat(labels[..., None], 3, axis=2).astype(np.float32)
    bent, bent_labels = camera.bend(np.random.default_rng(0), image, labels)
    assert np.array_equal(bent[..., 0] > 0, bent_labels > 0)
    assert not np.array_equal(bent_labels, labels)


def test_nothing_is_labelled_in_the_padding(scenes):
    padded = [scene for scene in scenes if (scene.image[-1] == PADDING_RGB).all()]
    assert len(padded) > 3
    assert not any(scene.labels[-1].any() for scene in padded)


def test_a_box_keeps_its_margin_within_the_picture():
    shape = np.zeros((50, 50), bool)
    shape[2:10, 30:33] = True
    assert box_around(shape, margin=5) == (slice(0, 15), slice(25, 38))


def test_scenes_are_drawn_faster_than_training_uses_them(generator):
    start = time.process_time()
    for index in range(10):
        generator.draw(index)
    assert (time.process_time() - start) / 10 < 0.2
