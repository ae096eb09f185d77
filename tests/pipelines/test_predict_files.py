"""Images in, mask files out; the model here finds bright pixels."""

import numpy as np
import pytest
from PIL import Image

from naslora_core.errors import ConfigError, DataError
from naslora_core.evaluation.overlays import class_colour
from naslora_core.progress import silent
from pipelines.predict_files import find_images, predict_files, serving_folder


def brightness(images):
    return [image.mean(axis=2).astype(np.float32) / 255 for image in images]


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_mask_has_the_size_of_its_image_and_marks_what_the_model_found(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:9, 10:22] = 200
    image = save(tmp_path / "in" / "leaf.png", pixels)
    (mask,) = predict_files(brightness, [image], tmp_path / "out", 0.5, silent)
    expected = np.zeros((20, 30), np.uint8)
    expected[5:9, 10:22] = 255
    np.testing.assert_array_equal(np.asarray(Image.open(mask)), expected)
    overlay = np.asarray(Image.open(tmp_path / "out" / "leaf_overlay.png"))
    np.testing.assert_array_equal(overlay[expected == 0], pixels[expected == 0])
    assert (overlay[expected == 255] != pixels[expected == 255]).any(axis=-1).all()


def test_a_broken_image_is_named_and_leaves_no_half_file(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(save(tmp_path / "whole.png", np.full((40, 40, 3), 9, np.uint8)).read_bytes()[:60])
    with pytest.raises(DataError, match=r"broken\.png"):
        predict_files(brightness, [broken], tmp_path / "out", 0.5, silent)
    assert not (tmp_path / "out").exists()


def test_a_folder_gives_its_images_sorted_and_no_hidden_or_other_files(tmp_path):
    for name in ("b.jpg", "a.PNG", ".hidden.png"):
        save(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in find_images([tmp_path])] == ["a.PNG", "b.jpg"]


def test_inputs_that_give_no_image_are_errors(tmp_path):
    with pytest.raises(DataError, match="holds no image"):
        find_images([tmp_path])
    with pytest.raises(DataError, match=r"absent\.jpg not found"):
        find_images([tmp_path / "absent.jpg"])


def test_two_images_that_would_write_one_mask_are_refused(tmp_path):
    files = [save(tmp_path / name, np.zeros((4, 4, 3), np.uint8)) for name in ("x/a.png", "y/a.png")]
    with pytest.raises(DataError, match="would write the same mask"):
        find_images(files)


def test_the_model_is_named_by_domain_or_folder_but_not_both(tmp_path):
    served = tmp_path / "serving" / "leaf"
    served.mkdir(parents=True)
    (served / "model.safetensors").touch()
    assert serving_folder(tmp_path, "leaf", None) == served
    assert serving_folder(tmp_path, None, served) == served
    with pytest.raises(ConfigError, match="either --domain NAME or --model"):
        serving_folder(tmp_path, "leaf", served)
    with pytest.raises(ConfigError, match="in service: leaf"):
        serving_folder(tmp_path, "polyps", None)


def test_several_classes_are_written_as_ids_that_read_back_and_are_shown_in_colours(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[2:8, 3:9], pixels[10:18, 12:28] = (255, 0, 0), (0, 255, 0)
    image = save(tmp_path / "in" / "leaf.png", pixels)

    def by_channel(images):
        return [image.transpose(2, 0, 1)[:2].astype(np.float32) / 255 for image in images]

    (mask,) = predict_files(by_channel, [image], tmp_path / "out", 0.5, silent)
    expected = np.zeros((20, 30), np.uint8)
    expected[2:8, 3:9], expected[10:18, 12:28] = 1, 2
    assert Image.open(mask).mode == "P"
    np.testing.assert_array_equal(np.asarray(Image.open(mask)), expected)
    shown = np.asarray(Image.open(mask).convert("RGB"))
    assert {tuple(shown[expected == number][0]) for number in (1, 2)} == {class_colour(1), class_colour(2)}
    overlay = np.asarray(Image.open(tmp_path / "out" / "leaf_overlay.png"))
    np.testing.assert_array_equal(overlay[expected == 0], pixels[expected == 0])
    assert (overlay[5, 5] != overlay[15, 20]).any()
