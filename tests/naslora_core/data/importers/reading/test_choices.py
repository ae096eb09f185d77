"""Masks that can be read in several ways are refused with the choice, and so are those that no dataset can hold."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.data.importers import IMPORTERS, ImportRequest
from naslora_core.data.importers.shared.class_options import parse_ignored, parse_reading
from naslora_core.errors import ConfigError, DataError
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


def refusal(root: Path, **options: object) -> str:
    with pytest.raises((DataError, ConfigError)) as refused:
        IMPORTERS["folder"](ImportRequest(root, **options))  # type: ignore[arg-type]
    assert len(str(refused.value)) < 1500
    return str(refused.value)


def beside(mask: np.ndarray) -> np.ndarray:
    """Move 255 away from the object, where it is no border."""
    mask[30:36, 30:44] = 255
    return mask


@pytest.mark.parametrize(
    ("masks", "store", "shown", "offered"),
    [
        (drawn(1, 2), grey, ("1 (5.21 %", "2 (5.21 %"), ("--reading instances", "--class a=1 --class b=2")),
        ([beside(m) for m in drawn(1)], grey, ("255 (4.38 %",), ("--class a=1 --class b=255", "--ignore")),
        (drawn(128, 255), grey, ("128 (", "255 ("), ("--class a=128 --class b=255", "--threshold 128")),
        (drawn(85, 170, 255), grey, ("170 (",), ("--class a=85", "--threshold 85")),
        ([m + 1 for m in drawn(1)], grey, ("no pixel is 0",), ("--class a=1 --class b=2",)),
        ([m * 0 + 255 for m in drawn(1)], grey, ("every pixel of every mask is 255",), ("--class a=255",)),
        (drawn(1, 2), palette(VOC), ("1 (5.21 %",), ("--class a=1", "--reading instances")),
        (drawn(1), palette({0: 0xFFFFFF, 1: 0}), ("index 0 of the palettes is not black but #ffffff",), ("#rrggbb",)),
        (drawn(1, 2), colours({1: 0xFF0000, 2: 0x0000FF}), ("#ff0000 (5.21 %",), ("--class a='#0000ff'",)),
        (drawn(60, 120), lambda m, p: Image.fromarray(m.astype(np.uint8)).save(p, "JPEG"), ("has changed the",), ()),
        (drawn(1), lambda m, p: Image.fromarray(NOISE).save(p), ("the colours of a photograph",), ("exchanged",)),
        (drawn(1), lambda m, p: Image.fromarray(NOISE[..., 0]).save(p), ("several readings",), ("--threshold",)),
        (drawn(1), lambda m, p: Image.fromarray(np.dstack([m * 200, m, m, np.eye(*m.shape) * 255]).astype(np.uint8))
         .save(p), ("an alpha channel that differs",), ("--reading alpha", "--threshold 1")),
    ],
)  # fmt: skip
def test_the_values_and_the_option_of_each_reading_are_shown(masks, store, shown, offered, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    message = refusal(write(tmp_path / "in", masks, store))
    for part in (*shown, *offered):
        assert part in message


def test_what_is_offered_is_accepted(tmp_path: Path) -> None:
    masks = drawn(1, 2)
    root = write(tmp_path / "in", masks, grey)
    assert "--reading instances" in refusal(root)
    assert_equal(import_(root, reading="instances"), [(m > 0).astype(np.uint8) for m in masks])


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        (lambda m, p: tifffile.imwrite(p, np.dstack([m * 100] * 3).astype("uint16"), photometric="rgb"), "16 bits"),
        (lambda m, p: tifffile.imwrite(p, m.astype("int32") - 1), "negative values, down to -1"),
        (lambda m, p: tifffile.imwrite(p, m.astype("float32") / 2), "not whole numbers"),
    ],
)
def test_masks_that_would_lose_something_are_refused_although_others_are_fine(store, problem, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    masks = drawn(1)
    root = write(tmp_path / "in", masks, lambda m, p: tifffile.imwrite(p, m.astype("uint8")), ".tif")
    store(masks[2], root / "masks" / "i2.tif")
    assert problem in (message := refusal(root))
    assert "i2.tif" in message


def test_a_damaged_mask_is_left_to_the_gate_and_told(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(255), grey)
    (root / "masks" / "i1.png").write_bytes(b"no picture")
    found = IMPORTERS["folder"](ImportRequest(root))
    assert "1 masks could not be read, such as" in found.notes[0]
    assert len(found.sources) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reading": "instances", "threshold": 3}, "give one of them"),
        ({"reading": "alpha"}, "4 masks have no alpha channel (i0.png"),
        ({"reading": "colours", "classes": {"a": (1,)}}, "does not go with values of --class"),
        ({"classes": {"a": (1,)}, "ignore": ("#ffffff",)}, "all numbers or all colours"),
        ({"classes": {"a": (1,)}}, "add --class NAME=VALUE, --class background=VALUE or --ignore VALUE"),
        ({"reading": "values"}, "name each: --class NAME=1"),
        ({"classes": {"a": (), "b": ()}}, "needs the value that means it"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    assert message in refusal(write(tmp_path / "in", drawn(1, 2), grey), **options)


def test_numbers_are_not_read_from_colours(tmp_path: Path) -> None:
    root = write(tmp_path / "in", drawn(1, 2), colours({1: 0xFF0000, 2: 0x0000FF}))
    assert "say --class NAME=#rrggbb" in refusal(root, classes={"a": (1,)})
    assert "give --threshold 1" in refusal(root, reading="instances")
    assert "has colours" in refusal(root, ignore=(255,)) or "have colours" in refusal(root, ignore=(255,))


def test_images_alone_are_no_masks(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        Image.fromarray(photograph(number)).save(tmp_path / "in" / f"i{number}.png")
    assert "no two files of it belong together" in refusal(
        tmp_path / "in", images=tmp_path / "in", masks=tmp_path / "in"
    )


def test_images_that_are_opaque_everywhere_hold_no_mask(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        pixels = np.dstack([photograph(number), np.full((HEIGHT, WIDTH), 255, np.uint8)])
        Image.fromarray(pixels).save(tmp_path / "in" / f"i{number}.png")
    assert "opaque everywhere" in refusal(tmp_path / "in")


@pytest.mark.parametrize("options", [["x"], ["255", "#ffffff"], ["70000"], [""]])
def test_an_ignored_value_is_a_number_or_a_colour(options: list[str]) -> None:
    with pytest.raises(ConfigError, match="give numbers or colours"):
        parse_ignored(options)
    assert parse_ignored(["254, 255"]) == (254, 255)
    assert parse_ignored([]) == ()


def test_readings_have_names() -> None:
    assert (parse_reading("colors"), parse_reading("Grey"), parse_reading(None)) == ("colours", "grey", None)
    with pytest.raises(ConfigError, match="use grey, values, colours, instances, alpha"):
        parse_reading("outlines")
