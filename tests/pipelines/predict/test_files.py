"""Images in, files out; the model here finds bright pixels."""

import csv
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.errors import ConfigError, DataError
from naslora_core.pictures.overlays import class_colour
from naslora_core.progress import silent
from pipelines.predict.files import TileChoice, predict_files
from pipelines.predict.inputs import InputImage, count_left_out, find_images, serving_folder
from pipelines.predict.outputs import OutputChoice
from pipelines.predict.record import Row, RunSettings, begin, read_rows, write_rows
from pipelines.predict.run import PredictOutcome, choose_tiles

WHOLE = TileChoice(lambda shape: None, 0.25)
SETTINGS = RunSettings(
    model_sha256="a" * 64, threshold=0.5, tile="auto", overlap=0.25, precision="float32", mask_palette="classes",
)  # fmt: skip


def brightness(images):
    return [image.mean(axis=2, dtype=np.float32) / 255 for image in images]


def by_channel(images):
    return [image.transpose(2, 0, 1)[:2].astype(np.float32) / 255 for image in images]


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def spots(seed=0, shape=(90, 140)):
    pixels = np.random.default_rng(seed).integers(0, 110, size=(*shape, 3)).astype(np.uint8)
    pixels[20:50, 30:100] += 140
    return pixels


def predict(images, out, *, model=brightness, tiles=WHOLE, batch_size=4, **choice):
    """Predict image files, and return the rows."""
    rows: list[Row] = []
    choice = OutputChoice(out, 0.5, choice.pop("classes", ("leaf",)), **choice)
    inputs = [InputImage(path, path.stem) for path in images]
    predict_files(model, inputs, tiles, choice, batch_size, silent, rows)
    return rows


def test_a_mask_has_the_size_of_its_image_and_marks_what_the_model_found(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:9, 10:22] = 200
    (row,) = predict([save(tmp_path / "in" / "leaf.png", pixels)], tmp_path / "out")
    expected = np.zeros((20, 30), np.uint8)
    expected[5:9, 10:22] = 255
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "leaf_mask.png")), expected)
    overlay = np.asarray(Image.open(tmp_path / "out" / "leaf_overlay.png"))
    np.testing.assert_array_equal(overlay[expected == 0], pixels[expected == 0])
    assert (overlay[expected == 255] != pixels[expected == 255]).any(axis=-1).all()
    assert (row.width, row.height, row.tiles, row.status) == (30, 20, 1, "predicted")
    assert row.foreground_share == 4 * 12 / (20 * 30)


def test_tiles_and_small_images_share_batches_and_give_the_same_files(tmp_path):
    files = [save(tmp_path / f"{n}.png", spots(n, shape)) for n, shape in enumerate([(40, 50), (150, 220), (90, 140)])]
    sizes = []

    def recorded(images):
        sizes.append(len(images))
        return brightness(images)

    one = predict(files, tmp_path / "one", probability="float32")
    tiled = TileChoice(lambda shape: 64, 0.25)
    rows = predict(files, tmp_path / "tiled", model=recorded, tiles=tiled, probability="float32")
    assert [row.tiles for row in rows] == [1, 15, 6]
    assert sizes == [4] * 5 + [2]
    for row in one:
        a, b = (tifffile.imread(tmp_path / folder / f"{row.name}_probability.tif") for folder in ("one", "tiled"))
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(tmp_path):
    whole = [save(tmp_path / f"{name}.png", spots(shape=(60, 110))) for name in ("a", "c")]
    broken = tmp_path / "b.png"
    broken.write_bytes(whole[0].read_bytes()[:60])
    deep = save(tmp_path / "deep.png", np.full((9, 9), 4000, np.uint16))
    rows = predict([whole[0], broken, deep, whole[1]], tmp_path / "out")
    assert {row.name: row.status for row in rows} == {
        "a": "predicted",
        "b": "failed",
        "c": "predicted",
        "deep": "failed",
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if "mask" in path.name) == [
        "a_mask.png",
        "c_mask.png",
    ]
    outcome = PredictOutcome(tmp_path / "out", rows, None, "float32")
    text = "\n".join(outcome.lines())
    assert "2 of 4 images failed" in text
    assert "has 1 band of 16 bits, and the model was trained on images of 8 bits a channel" in text
    assert [failed["file"] for failed in outcome.summary()["failed"]] == [str(broken), str(deep)]


def test_several_classes_are_written_as_ids_that_read_back_and_are_shown_in_colours(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[2:8, 3:9], pixels[10:18, 12:28] = (255, 0, 0), (0, 255, 0)
    image, out = save(tmp_path / "in" / "leaf.png", pixels), tmp_path / "out"
    predict([image], out, model=by_channel, classes=("rust", "mould"), probability="uint8", has_polygons=True)
    expected = np.zeros((20, 30), np.uint8)
    expected[2:8, 3:9], expected[10:18, 12:28] = 1, 2
    mask = Image.open(out / "leaf_mask.png")
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.asarray(mask), expected)
    shown = np.asarray(mask.convert("RGB"))
    assert {tuple(shown[expected == number][0]) for number in (1, 2)} == {class_colour(1), class_colour(2)}
    overlay = np.asarray(Image.open(out / "leaf_overlay.png"))
    np.testing.assert_array_equal(overlay[expected == 0], pixels[expected == 0])
    assert (overlay[5, 5] != overlay[15, 20]).any()
    np.testing.assert_array_equal(tifffile.imread(out / "leaf_probability.tif"), pixels.transpose(2, 0, 1)[:2])
    collection = json.loads((out / "leaf_polygons.geojson").read_text())
    assert collection["image"] == {"file_name": "leaf.png", "width": 30, "height": 20}
    features = collection["features"]
    assert [(f["properties"]["class"], f["properties"]["area_px"]) for f in features] == [("rust", 36), ("mould", 128)]


@pytest.mark.parametrize(("kind", "one"), [("float32", 1), ("uint16", 65535), ("uint8", 255)])
def test_a_probability_file_holds_what_the_model_said(tmp_path, kind, one):
    pixels = spots()
    predict([save(tmp_path / "a.png", pixels)], tmp_path / "out", probability=kind, overlay=False)
    written = tifffile.imread(tmp_path / "out" / "a_probability.tif")
    assert written.dtype == kind
    np.testing.assert_allclose(written / one, pixels.mean(axis=2) / 255, atol=0.5 / one if one > 1 else 1e-6)
    assert not (tmp_path / "out" / "a_overlay.png").exists()


def test_an_interruption_leaves_whole_files_only_and_a_resumed_run_does_the_rest(tmp_path):
    images = [InputImage(save(tmp_path / "in" / f"{n}.png", spots(n)), str(n)) for n in range(4)]
    choice, seen = OutputChoice(tmp_path / "out", 0.5, ("leaf",)), []

    def stops_at_the_third(crops):
        seen.extend(crops)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return brightness(crops)

    rows, left = begin(images, choice, SETTINGS, resume=False, force=False)
    with pytest.raises(KeyboardInterrupt):
        predict_files(stops_at_the_third, left, WHOLE, choice, 1, silent, rows)
    write_rows(choice.folder, rows)
    written = sorted(path.name for path in choice.folder.glob("*.png"))
    assert written == ["0_mask.png", "0_overlay.png", "1_mask.png", "1_overlay.png"]

    kept, left = begin(images, choice, SETTINGS, resume=True, force=False)
    assert [row.name for row in kept] == ["0", "1"]
    assert [image.name for image in left] == ["2", "3"]
    assert all(row.status == "kept" and row.seconds for row in kept)
    # Whoever was killed wrote no rows: what the masks say is told all the same.
    (choice.folder / "predictions.csv").unlink()
    (row, _), _ = begin(images, choice, SETTINGS, resume=True, force=False)
    assert (row.width, row.height, row.seconds) == (140, 90, None)
    assert row.foreground_share == rows[0].foreground_share
    # One more kind of file was not there yet, so nothing is done.
    more = OutputChoice(tmp_path / "out", 0.5, ("leaf",), probability="uint8")
    assert begin(images, more, SETTINGS, resume=True, force=False)[0] == []


def test_nothing_is_overwritten_or_mixed_without_being_told(tmp_path):
    images = [InputImage(save(tmp_path / "in" / "a.png", spots()), "a")]
    choice = OutputChoice(tmp_path / "out", 0.5, ("leaf",))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_overlay.png").write_text("someone's")
    with pytest.raises(ConfigError, match=r"a_overlay\.png exists; --resume .* --force"):
        begin(images, choice, SETTINGS, resume=False, force=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_overlay.png"]
    rows, left = begin(images, choice, SETTINGS, resume=False, force=True)
    predict_files(brightness, left, WHOLE, choice, 1, silent, rows)
    for key, value, message in (
        ("threshold", 0.7, r"threshold 0\.5, not 0\.7"),
        ("precision", "bf16", "precision float32, not bf16"),
        ("mask_palette", "none", "mask_palette classes, not none"),
        ("flips", "all", "flips none, not all"),
    ):
        other = SETTINGS.model_copy(update={key: value})
        with pytest.raises(ConfigError, match=f"predicted with {message}"):
            begin(images, choice, other, resume=True, force=False)
    # What a forced run has not replaced yet is older than the run, so a resumed one does not take it for done.
    assert begin(images, choice, other, resume=False, force=True)[1] == images
    assert begin(images, choice, other, resume=True, force=False)[1] == images
    with pytest.raises(ConfigError, match="give one of them"):
        begin(images, choice, SETTINGS, resume=True, force=True)


def test_the_table_of_a_run_reads_back(tmp_path):
    rows = predict([save(tmp_path / "a.png", spots())], tmp_path)
    rows.append(Row(file="b.png", name="b", status="failed", message='cut short, "sadly"'))
    path = write_rows(tmp_path, rows)
    assert list(read_rows(tmp_path).values()) == rows
    with path.open(newline="") as file:
        assert next(csv.reader(file)) == [
            "file", "name", "width", "height", "tiles", "foreground_share", "scores", "seconds", "status", "message",
        ]  # fmt: skip


def test_folders_patterns_and_files_name_images_once_and_no_hidden_or_other_files(tmp_path):
    for name in ("b.jpg", "a.PNG", ".hidden.png", "deep/c.png", "deep/.git/d.png", "masks/a_mask.png"):
        save(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "notes.txt").touch()
    out = tmp_path / "masks"

    def names(*inputs, recursive=False):
        return [image.name for image in find_images([str(given) for given in inputs], recursive, out)]

    assert names(tmp_path) == ["a", "b"]
    assert names(tmp_path, recursive=True) == ["a", "b", "deep/c"]
    assert names(tmp_path / "**" / "*.*") == ["a", "b", "deep/c"]
    assert names(tmp_path / "*.jpg", tmp_path / "b.jpg", tmp_path) == ["b", "a"]


def test_inputs_that_give_no_image_are_errors(tmp_path):
    for given, message in (
        ("", "holds no image"),
        ("absent.jpg", r"absent\.jpg not found"),
        ("*.png", "no image match"),
    ):
        with pytest.raises(DataError, match=message):
            find_images([str(tmp_path / given)], False, tmp_path / "out")


def test_two_images_that_would_write_one_mask_are_refused(tmp_path):
    files = [str(save(tmp_path / name, np.zeros((4, 4, 3), np.uint8))) for name in ("x/a.png", "y/a.png")]
    with pytest.raises(DataError, match="would write the same mask"):
        find_images(files, False, tmp_path / "out")


@pytest.mark.parametrize("tile", ["16", "-5", "big", "1.5"])
def test_a_tile_is_a_word_or_a_number_of_pixels(tile):
    assert choose_tiles("off", 0.25, None, None).side((9000, 9000)) is None
    assert choose_tiles("512", 0.25, None, None).side((90, 90)) == 512
    with pytest.raises(ConfigError, match="use auto, off, or a side in pixels from 32 on"):
        choose_tiles(tile, 0.25, None, None)


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


def test_what_is_left_out_of_a_folder_is_counted_by_suffix(tmp_path):
    out = tmp_path / "masks"
    for name in ("a.png", "deep/b.png", "masks/a_mask.png"):
        save(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    assert count_left_out([str(tmp_path / "a.png")], False, out) == ""
    assert count_left_out([str(tmp_path)], True, out) == ""
    for name in ("x.heic", "y.HEIC", "notes.txt", "Thumbs", ".hidden", "deep/z.raw", "masks/predictions.csv"):
        (tmp_path / name).touch()
    said = "left out: 4 files that are no images (2 .heic, 1 .txt, 1 without suffix)"
    assert count_left_out([str(tmp_path)], False, out) == f"{said}, 1 folder (--recursive looks into them)"
    said = "left out: 5 files that are no images (2 .heic, 1 .raw, 1 .txt, 1 without suffix)"
    assert count_left_out([str(tmp_path)], True, out) == said


def test_links_to_folders_are_followed_once(tmp_path):
    for name in ("photos/a.png", "elsewhere/b.png", "elsewhere/more/c.jfif"):
        save(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    for link, target in (("far", "elsewhere"), ("far_again", "elsewhere"), ("loop", "photos"), ("itself", "itself")):
        (tmp_path / "photos" / link).symlink_to(tmp_path / ("photos/itself" if target == "itself" else target))
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "photos")
    found = find_images([str(tmp_path / "photos")], True, tmp_path / "out")
    assert [image.name for image in found] == ["a", "far/b", "far/more/c"]
