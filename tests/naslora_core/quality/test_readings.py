"""The gate on masks of numbers of objects, in alpha channels, and with pixels that nobody labelled."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.quality.expectations import build_suite
from naslora_core.quality.measure_file import measure_mask
from naslora_core.quality.table import content_columns, measured_by
from tests.naslora_core.quality.flawless import CARD, QUALITY

SIZE = 40


def card(**changes: object) -> DatasetCard:
    return DatasetCard.model_validate(CARD.model_dump() | changes)


INSTANCES = card(mask_threshold=None, mask_reading="instances", mask_ignore=(300,))
ALPHA = card(mask_threshold=None, mask_reading="alpha")
BORDER = card(mask_threshold=None, mask_values={"disc": (1,)}, mask_ignore=(255,), mask_reading="values")
GREY = card(mask_threshold=128, mask_ignore=(77,), mask_reading="grey")


def numbers() -> np.ndarray:
    """Return (H, W) int32: two objects of 50 pixels, the first at the border, and 600 pixels that nobody labelled."""
    mask = np.zeros((SIZE, SIZE), np.int32)
    mask[:5, :10], mask[10:15, 20:30], mask[25:] = 1, 290, 300
    return mask


def check(found: dict[str, object]) -> None:
    assert found["mask_state"] == "ok"
    for share in ("foreground_share", "share_disc", "object_share"):
        assert found[share] == pytest.approx(100 / 1000)
    assert found["ignored_share"] == pytest.approx(600 / 1600)
    assert (found["components"], found["smallest_component_px"], found["is_empty"]) == (2, 50, False)
    assert found["touches_border"] is True
    assert not found["unknown_values"]


def test_numbers_of_objects(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", numbers().astype("uint16"))
    found = measure_mask(tmp_path / "m.tif", INSTANCES)
    check(found)
    assert (found["mask_values"], found["mask_channels"]) == (4, 1)


def test_values_with_a_border_that_nobody_labelled(tmp_path: Path) -> None:
    mask = np.select([numbers() == 300, numbers() > 0], [255, 1]).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "m.png")
    check(measure_mask(tmp_path / "m.png", BORDER))


def test_grey_with_an_ignored_level_has_no_soft_border(tmp_path: Path) -> None:
    mask = np.select([numbers() == 300, numbers() > 0], [77, 255]).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "m.png")
    found = measure_mask(tmp_path / "m.png", GREY)
    check(found)
    assert found["grey_share"] == 0


def test_only_ignored_pixels_say_nothing(tmp_path: Path) -> None:
    Image.fromarray(np.full((SIZE, SIZE), 255, np.uint8)).save(tmp_path / "m.png")
    found = measure_mask(tmp_path / "m.png", BORDER)
    assert (found["nothing_labelled"], found["ignored_share"]) == (True, 1)
    assert "foreground_share" not in found


def test_an_alpha_channel_is_no_photograph_although_its_colours_are(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    alpha = np.where((numbers() > 0) & (numbers() < 300), 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "m.png")
    found = measure_mask(tmp_path / "m.png", ALPHA)
    assert (found["mask_is_photograph"], found["mask_values"], found["foreground_share"]) == (
        False,
        2,
        pytest.approx(100 / 1600),
    )
    Image.fromarray(rgb).save(tmp_path / "m.png")
    assert "has no alpha channel" in measure_mask(tmp_path / "m.png", ALPHA)["mask_problem"]


def test_a_boolean_tiff_is_measured_as_it_is_stored(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", numbers() == 290)
    assert measure_mask(tmp_path / "m.tif", card())["foreground_share"] == pytest.approx(50 / 1600)


@pytest.mark.parametrize(
    ("of", "has", "has_not"),
    [
        (INSTANCES, {"one_channel"}, {"values_known", "two_values"}),
        (BORDER, {"one_channel", "values_known"}, {"two_values"}),
        (ALPHA, {"mask_is_no_photograph"}, {"one_channel", "values_known", "two_values"}),
        (GREY, {"two_values"}, {"one_channel", "values_known"}),
    ],
)
def test_each_reading_has_the_checks_that_it_needs(of: DatasetCard, has: set[str], has_not: set[str]) -> None:
    names = {check.name for check in build_suite(QUALITY, of)}
    assert has <= names
    assert not has_not & names


def test_measurements_are_made_anew_for_another_reading() -> None:
    assert len({measured_by(of) for of in (INSTANCES, BORDER, ALPHA, GREY, card())}) == 5
    assert "ignored_share" in content_columns("mask", BORDER)
