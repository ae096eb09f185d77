import re

import cv2
import numpy as np
import pytest

from naslora_core.pictures.outlines import SIDE_UNITS, outline_path, view_box


def polygons(path: str) -> list[np.ndarray]:
    """Follow the steps of a path and return its corners."""
    found = []
    for start, steps in re.findall(r"M(-?\d+ -?\d+)l([^z]*)z", path):
        numbers = np.array([*map(int, start.split()), *map(int, steps.split())]).reshape(-1, 2)
        found.append(np.cumsum(numbers, axis=0))
    return found


def filled(path: str, height: int, width: int) -> np.ndarray:
    """Draw a path by the even-odd rule on a canvas of its own units."""
    canvas = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(canvas, [polygon.astype(np.int32) for polygon in polygons(path)], 1)
    return canvas


def test_a_rectangle_becomes_its_four_corners():
    mask = np.zeros((50, 100), dtype=np.uint8)
    mask[10:30, 20:60] = 1
    assert view_box(50, 100) == (1000, 500)
    (corners,) = polygons(outline_path(mask))
    assert corners.min(axis=0).tolist() == [200, 100]
    assert corners.max(axis=0).tolist() == [600, 300]


@pytest.mark.parametrize("shape", [(64, 90), (700, 1100)])
def test_a_filled_outline_covers_what_the_mask_covers(shape: tuple[int, int]):
    rows, columns = np.mgrid[: shape[0], : shape[1]] / max(shape)
    ring = np.hypot(rows - 0.3, columns - 0.4)
    mask = ((ring < 0.22) & (ring > 0.1)) | ((rows > 0.5) & (columns > 0.8))
    width, height = view_box(*shape)
    drawn = filled(outline_path(mask), height, width)
    wanted = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    assert (drawn & wanted).sum() / (drawn | wanted).sum() > 0.94


def test_a_single_pixel_does_not_vanish():
    mask = np.zeros((40, 40))
    mask[7, 9] = 1
    assert outline_path(mask)


def test_an_empty_mask_has_no_outline():
    assert outline_path(np.zeros((20, 30))) == ""


def test_an_outline_stays_small_however_large_the_image_is():
    rng = np.random.default_rng(2)
    blobs = cv2.GaussianBlur(rng.random((1500, 2000)), (0, 0), 25) > 0.5
    path = outline_path(blobs)
    assert 500 < len(path) < 40_000
    assert max(int(polygon.max()) for polygon in polygons(path)) <= SIDE_UNITS
