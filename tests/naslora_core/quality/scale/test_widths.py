"""Widths of drawn lines and discs, of which everybody knows how wide they are."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule
from naslora_core.quality.measure_file import measure_mask
from naslora_core.quality.scale.widths import object_widths, pack_widths, unpack_widths

RULE = SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2)
ABOUT = {"name": "roads", "title": "Roads", "licence": "", "citation": "", "source": "", "split": RULE}


def widths(mask: np.ndarray) -> list[float]:
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return object_widths(regions, stats).tolist()


def distances(side: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:side, :side]
    return rows - (side - 1) / 2, columns - (side - 1) / 2


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("turned", [False, True])
def test_straight_lines_measure_just_what_they_are(width: int, turned: bool) -> None:
    line = np.zeros((60, 90), bool)
    line[20 : 20 + width, 5:80] = True
    assert widths(line.T if turned else line) == [width]


@pytest.mark.parametrize("degrees", [17, 30, 45, 71])
@pytest.mark.parametrize("width", [2, 3, 4, 6, 8, 12])
def test_slanted_lines_measure_what_they_are_to_a_pixel(width: int, degrees: int) -> None:
    rows, columns = distances()
    across = columns * np.sin(np.deg2rad(degrees)) - rows * np.cos(np.deg2rad(degrees))
    along = columns * np.cos(np.deg2rad(degrees)) + rows * np.sin(np.deg2rad(degrees))
    (measured,) = widths((np.abs(across) <= width / 2) & (np.abs(along) < 45))
    assert abs(measured - width) <= 1.2


@pytest.mark.parametrize("diameter", [4, 7, 10, 15, 20, 31, 60, 100])
def test_discs_measure_their_diameter(diameter: int) -> None:
    rows, columns = distances()
    (measured,) = widths(rows**2 + columns**2 <= (diameter / 2) ** 2)
    assert abs(measured - diameter) <= max(1.5, 0.03 * diameter)


def test_objects_are_measured_one_by_one_in_the_order_of_their_regions() -> None:
    mask = np.zeros((80, 80), bool)
    mask[0:1, 0:80] = mask[10:14, 5:75] = mask[40:52, 20:32] = True
    mask[79, 79] = True
    assert widths(mask) == [1, 4, 12, 1]


def test_a_line_is_as_wide_as_it_mostly_is() -> None:
    mask = np.zeros((40, 200), bool)
    mask[20:22, 5:195] = True
    mask[14:28, 90:104] = True
    assert widths(mask) == [2]


def test_what_the_image_cuts_off_and_a_full_mask_are_as_wide_as_one_sees() -> None:
    assert widths(np.ones((30, 50), bool)) == [30]
    cut = np.zeros((30, 50), bool)
    cut[:3] = True
    assert widths(cut) == [3]


def test_a_histogram_comes_back_with_objects_and_pixels() -> None:
    packed = [pack_widths(np.array([2.0, 1.0, 2.05, 16.0]), np.array([10, 3, 20, 200])), "", pack_widths(
        np.array([3.0]), np.array([9]))]  # fmt: skip
    assert packed[0] == "0:1:3 8:2:30 32:1:200"
    table = unpack_widths(packed)
    assert table[:, 0].tolist() == [0, 0, 0, 2]
    assert table[:, 1].tolist() == pytest.approx([1, 2, 16, 3], rel=0.045)
    assert table[:, 2:].tolist() == [[1, 3], [2, 30], [1, 200], [1, 9]]
    assert unpack_widths(["", ""]).shape == (0, 4)


def test_each_class_of_a_mask_has_its_own_widths_without_what_nobody_labelled(tmp_path: Path) -> None:
    card = DatasetCard(classes=("road", "roof"), mask_values={"road": (1,), "roof": (2,)}, mask_ignore=(255,), **ABOUT)
    ids = np.zeros((64, 64), np.uint8)
    ids[10:14, 2:60], ids[30:46, 20:36], ids[50:60, 10:20] = 1, 2, 255
    Image.fromarray(ids).save(tmp_path / "mask.png")
    found = measure_mask(tmp_path / "mask.png", card)
    assert found["widths_road"] == "16:1:232"
    assert found["widths_roof"] == "32:1:256"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "mask.png")
    assert {measure_mask(tmp_path / "mask.png", card)[f"widths_{name}"] for name in card.classes} == {""}
