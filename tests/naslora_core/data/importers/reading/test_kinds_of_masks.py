"""Each kind of mask file comes in as its author drew it, pixel by pixel."""

from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter

from naslora_core.data.dataset.card import IGNORED_ID
from tests.naslora_core.data.importers.reading.drawn import (
    HEIGHT,
    VOC,
    WIDTH,
    assert_equal,
    colours,
    drawn,
    grey,
    import_,
    palette,
    photograph,
    write,
)

NOISE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def stored_as(dtype: str, **options: object):  # type: ignore[no-untyped-def]
    return lambda mask, path: tifffile.imwrite(path, mask.astype(dtype), **options)


def test_voc_palette_with_a_void_border(tmp_path: Path) -> None:
    masks = drawn(8, 15, ring=255)
    dataset = import_(write(tmp_path / "in", masks, palette(VOC)))
    assert dataset.card.classes == ("cat", "person")
    assert dataset.card.mask_values == {"cat": (8,), "person": (15,)}
    assert (dataset.card.mask_ignore, dataset.card.mask_reading) == ((255,), "values")
    assert_equal(dataset, [np.select([m == 8, m == 15, m == 255], [1, 2, IGNORED_ID]) for m in masks])


@pytest.mark.parametrize(
    ("values", "store", "suffix"),
    [
        ((1,), stored_as("bool"), ".tif"),
        ((255,), stored_as("uint8", photometric="miniswhite"), ".tif"),
        ((1,), stored_as("uint8", photometric="miniswhite"), ".tif"),
        ((1,), stored_as("uint16", photometric="miniswhite"), ".tif"),
        ((65535,), stored_as("uint16"), ".tif"),
        ((1,), stored_as("int32"), ".tif"),
        ((1,), stored_as("float32"), ".tif"),
        ((255,), grey, ".png"),
        ((1,), grey, ".png"),
        ((3,), grey, ".png"),
        ((255,), grey, ".bmp"),
        ((1,), lambda mask, path: Image.fromarray(mask > 0).save(path), ".png"),
        ((1,), lambda mask, path: Image.fromarray(mask > 0).save(path, compression="group4"), ".tif"),
        ((1,), palette({1: 0x400000}), ".png"),
        ((1,), palette({1: 0x307020}), ".png"),
        ((1,), colours({1: 0x307020}), ".png"),
        ((1,), colours({1: 0xFFFFFF}), ".png"),
        ((1,), lambda mask, path: Image.fromarray(np.dstack([mask * 255] * 4).astype(np.uint8)).save(path), ".png"),
    ],
)  # fmt: skip
def test_one_object_on_a_background(values: tuple[int], store, suffix: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    masks = drawn(*values)
    dataset = import_(write(tmp_path / "in", masks, store, suffix))
    assert dataset.card.classes == ("object",)
    assert dataset.card.mask_reading is not None
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


def test_white_is_zero_can_be_exchanged(tmp_path: Path) -> None:
    masks = drawn(1)
    root = write(tmp_path / "in", masks, stored_as("bool"), ".tif")
    dataset = import_(root, classes={"object": (0,), "background": (255,)})
    assert_equal(dataset, [(m == 0).astype(np.uint8) for m in masks])


@pytest.mark.parametrize("dtype", ["uint16", "uint8", "int32"])
def test_numbers_of_objects(dtype: str, tmp_path: Path) -> None:
    masks = []
    for number in range(4):
        mask = np.zeros((HEIGHT, WIDTH), np.int32)
        for k in range(60 - 5 * number):
            mask[k // 10 * 5 + 1 :, :][:3, k % 10 * 4 + 1 :][:, :3] = k + 1
        masks.append(mask)
    dataset = import_(write(tmp_path / "in", masks, stored_as(dtype), ".tif"))
    assert (dataset.card.mask_reading, dataset.card.classes) == ("instances", ("object",))
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


def test_numbers_of_objects_beyond_a_byte_with_gaps(tmp_path: Path) -> None:
    masks = [np.kron(np.arange(0, 240).reshape(15, 16) * 7, np.ones((4, 4), int)).astype(np.int32) for _ in range(3)]
    for number, mask in enumerate(masks):
        mask[mask > 0] += number
        (tmp_path / "in/images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.resize(photograph(number), (60, 64, 3))).save(tmp_path / f"in/images/i{number}.png")
        (tmp_path / "in/masks").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"in/masks/i{number}.tif", mask.astype("uint16"))
    dataset = import_(tmp_path / "in")
    assert dataset.card.mask_reading == "instances"
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


def test_an_object_of_1_in_a_border_of_255(tmp_path: Path) -> None:
    masks = drawn(1, ring=255)
    dataset = import_(write(tmp_path / "in", masks, grey))
    assert (dataset.card.mask_values, dataset.card.mask_ignore) == ({"object": (1,)}, (255,))
    assert_equal(dataset, [np.select([m == 1, m == 255], [1, IGNORED_ID]) for m in masks])


def test_soft_edges_are_cut_in_the_middle(tmp_path: Path) -> None:
    masks = drawn(255)

    def soft(mask: np.ndarray, path: Path) -> None:
        Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2)).save(path)

    dataset = import_(write(tmp_path / "in", masks, soft))
    assert (dataset.card.mask_reading, dataset.card.mask_threshold) == ("grey", 128)
    assert_equal(dataset, [(np.asarray(Image.open(tmp_path / f"in/masks/i{n}.png")) >= 128) for n in range(4)])


@pytest.mark.parametrize("store", [grey, colours({1: 0, 255: 0xFF0000})])
def test_jpeg_of_one_object_is_cut_in_the_middle(store, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    masks = drawn(255)
    dataset = import_(write(tmp_path / "in", masks, store, ".jpg"))
    assert (dataset.card.mask_reading, dataset.card.mask_threshold) == ("grey", 128)
    found = [int(np.count_nonzero(np.asarray(Image.open(p.mask)).reshape(HEIGHT, WIDTH, -1).max(2) >= 128))
             for p in dataset.pairs if p.mask]  # fmt: skip
    assert all(abs(count - 100) <= 15 for count in found)


def test_a_mask_in_the_alpha_channel_of_mask_files(tmp_path: Path) -> None:
    masks = drawn(1)

    def store(mask: np.ndarray, path: Path) -> None:
        Image.fromarray(np.dstack([NOISE, mask * 255]).astype(np.uint8)).save(path)

    dataset = import_(write(tmp_path / "in", masks, store))
    assert dataset.card.mask_reading == "alpha"
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


def test_a_mask_in_the_alpha_channel_of_the_images_themselves(tmp_path: Path) -> None:
    masks = drawn(1)
    (tmp_path / "in").mkdir()
    for number, mask in enumerate(masks):
        pixels = np.dstack([photograph(number), mask * 255]).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"i{number}.png")
    dataset = import_(tmp_path / "in")
    assert dataset.card.mask_reading == "alpha"
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


@pytest.mark.parametrize(("image", "mask"), [("x{}.jpg", "x{}_mask.png"), ("x{}.png", "x{}_GT.png"),
                                             ("x{}.jpg", "x{}.png"), ("x{}.jpeg", "x{}-mask.bmp")])  # fmt: skip
def test_images_and_masks_in_one_folder(image: str, mask: str, tmp_path: Path) -> None:
    masks = drawn(255)
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate(masks):
        Image.fromarray(photograph(number)).save(tmp_path / "in" / image.format(number))
        grey(pixels, tmp_path / "in" / mask.format(number))
    dataset = import_(tmp_path / "in")
    assert [pair.name for pair in dataset.pairs] == ["x0", "x1", "x2", "x3"]
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


def test_palettes_that_a_program_has_renumbered_are_read_by_colour(tmp_path: Path) -> None:
    masks = drawn(1)

    def store(mask: np.ndarray, path: Path) -> None:
        flipped = int(path.stem[1:]) % 2
        table = {0: 0x307020, 1: 0} if flipped else {0: 0, 1: 0x307020}
        palette(table)(1 - mask if flipped else mask, path)

    dataset = import_(write(tmp_path / "in", masks, store))
    assert dataset.card.mask_values == {"object": ("#307020",)}
    assert_equal(dataset, [(m > 0).astype(np.uint8) for m in masks])


def test_every_option_reads_what_it_says(tmp_path: Path) -> None:
    masks = drawn(1, 2, ring=255)
    root = write(tmp_path / "in", masks, grey)
    for options, expected in (
        ({"classes": {"a": (1,), "b": (2,)}}, [np.where(m == 255, IGNORED_ID, m) for m in masks]),
        ({"classes": {"a": (1,), "b": (2, 255)}}, [np.where(m == 255, 2, m) for m in masks]),
        ({"classes": {"a": (1, 2)}, "ignore": (255,)}, [np.select([m == 255, m > 0], [255, 1]) for m in masks]),
        ({"reading": "instances", "ignore": (255,)}, [np.select([m == 255, m > 0], [255, 1]) for m in masks]),
        ({"reading": "instances"}, [m > 0 for m in masks]),
        ({"threshold": 2}, [m >= 2 for m in masks]),
        ({"threshold": 2, "ignore": (255,)}, [np.select([m == 255, m >= 2], [255, 1]) for m in masks]),
    ):
        assert_equal(import_(root, **options), [m.astype(np.uint8) for m in expected])
        rmtree(tmp_path / "data")
