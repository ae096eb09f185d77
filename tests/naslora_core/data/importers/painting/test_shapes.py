"""Shapes are painted pixel for pixel as pycocotools and OpenCV paint them, wherever in an image they lie."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from naslora_core.data.importers.painting.run_lengths import checked_counts, unpack
from naslora_core.data.importers.painting.shapes import Bitmap, Outline, Polygons, Runs, Shape


def painted(shape: Shape, height: int, width: int) -> np.ndarray:
    top, left, inside = shape.paint(height, width)
    canvas = np.zeros((height, width), dtype=bool)
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return canvas


def random_rings(rng: np.random.Generator, height: int, width: int, decimals: int) -> list[np.ndarray]:
    # Within the image, leaving it, and far outside; ties of the rounding to a fifth of a pixel among them.
    low, high = [(0.0, 1.0), (-0.4, 1.3), (-3.0, 4.0)][rng.integers(3)]
    return [
        np.round(rng.uniform(low, high, (rng.integers(3, 9), 2)) * (width, height), decimals)
        for _ in range(rng.integers(1, 4))
    ]


@pytest.mark.parametrize("decimals", [0, 1, 2, 6])
def test_polygons_are_painted_as_their_tools_paint_them_in_the_whole_image(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for _ in range(500):
        height, width = (int(side) for side in rng.integers(3, 70, 2))
        rings = random_rings(rng, height, width, decimals)
        runs = coco_mask.frPyObjects([ring.ravel().tolist() for ring in rings], height, width)
        truth = coco_mask.decode(coco_mask.merge(runs)).astype(bool)
        np.testing.assert_array_equal(painted(Polygons(rings, "edges"), height, width), truth)
        canvas = np.zeros((height, width), np.uint8)
        for ring in rings:
            cv2.fillPoly(canvas, [np.rint(ring).astype(np.int32)], 1)
        np.testing.assert_array_equal(painted(Polygons(rings, "centres"), height, width), canvas.astype(bool))


def test_a_window_of_the_image_would_move_a_pixel_in_pycocotools() -> None:
    # What `Polygons` avoids; if this fails, pycocotools has changed, and decoding may be made faster.
    corners = np.array([[30.0, 20.0], [33.0, 22.0], [11.0, 7.0]])
    whole = coco_mask.decode(coco_mask.frPyObjects([corners.ravel().tolist()], 27, 37))[:, :, 0]
    window = coco_mask.decode(coco_mask.frPyObjects([(corners - (11, 7)).ravel().tolist()], 16, 23))[:, :, 0]
    assert np.argwhere(whole[7:23, 11:34] != window).tolist() == [[10, 15]]
    np.testing.assert_array_equal(painted(Polygons([corners]), 27, 37), whole)


def test_contours_of_opencv_give_back_the_mask_they_were_drawn_around() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        truth = cv2.resize(rng.integers(0, 2, (6, 7), np.uint8), (49, 42), interpolation=cv2.INTER_NEAREST)
        # Lines of one pixel, too, but no holes, which outlines cannot hold.
        truth[rng.integers(42), :] = 1
        truth = cv2.bitwise_not(cv2.floodFill(np.pad(truth, 1), None, (0, 0), 255)[1])[1:-1, 1:-1] > 0
        contours, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        rings = [contour[:, 0] for contour in contours]
        np.testing.assert_array_equal(painted(Polygons(rings, "centres"), 42, 49), truth)


@pytest.mark.parametrize(
    ("corners", "outline", "pixels"),
    [
        ([], "edges", 0),
        ([], "centres", 0),
        ([[4, 5]], "edges", 0),
        ([[4, 5]], "centres", 1),
        # pycocotools would take four numbers for a box.
        ([[2, 3], [6, 7]], "edges", 0),
        ([[2, 3], [6, 7]], "centres", 5),
        ([[2, 3], [6, 3], [4, 3]], "edges", 0),
        ([[2, 3], [6, 3], [4, 3]], "centres", 5),
        ([[90, 90], [95, 90], [95, 95]], "edges", 0),
        ([[90, 90], [95, 90], [95, 95]], "centres", 0),
    ],
)
def test_what_has_no_area_is_a_line_of_pixels_or_nothing(
    corners: list[list[int]], outline: Outline, pixels: int
) -> None:
    assert painted(Polygons([np.array(corners)], outline), 20, 20).sum() == pixels


@pytest.mark.parametrize("value", [np.nan, np.inf, 201.0, -1e300])
@pytest.mark.parametrize("outline", ["edges", "centres"])
def test_a_corner_that_is_no_number_or_far_away_is_refused(value: float, outline: Outline) -> None:
    with pytest.raises(ValueError, match="a corner lies at .* in an image of 20 x 10"):
        Polygons([np.array([[1, 1], [5, 1], [value, 5]])], outline).paint(10, 20)


def test_run_lengths_are_painted_as_pycocotools_decodes_them() -> None:
    rng = np.random.default_rng(5)
    for number in range(300):
        height, width = (int(side) for side in rng.integers(1, 40, 2))
        truth = rng.random((height, width)) < rng.choice([0.0, 0.02, 0.5, 0.98, 1.0])
        if number % 2:
            truth = np.sort(truth, axis=0)
        packed = coco_mask.encode(np.asfortranarray(truth.astype(np.uint8)))["counts"].decode()
        for counts in (packed, unpack(packed.encode()).tolist()):
            np.testing.assert_array_equal(painted(Runs(counts, (height, width)), height, width), truth)


def test_runs_of_no_pixels_are_allowed() -> None:
    inside = painted(Runs([2, 0, 1, 2, 0, 1, 0, 0], (3, 2)), 3, 2)
    assert inside.T.ravel().tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    "counts", ["", "zz", "0" * 8, "o" * 40 + "1", [], [5], [7], [-1, 7], [2**62, 2**62, 2**62, 2**62, 6], "é"]
)
def test_run_lengths_that_do_not_cover_the_image_are_refused(counts: str | list[int]) -> None:
    with pytest.raises(ValueError, match="run lengths|ascii"):
        checked_counts(counts, 3, 2)
    with pytest.raises(ValueError, match=r"its size \[3, 2\] is not that of the image, \[2, 3\]"):
        Runs(counts, (3, 2)).paint(2, 3)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (-2, 3), (4, -1), (9, 9), (-3, 0), (2, 40)])
def test_a_bitmap_is_cut_off_at_the_border(top: int, left: int) -> None:
    truth = np.zeros((20, 60), dtype=bool)
    truth[top + 10 : top + 13, left + 10 : left + 15] = True
    np.testing.assert_array_equal(painted(Bitmap(np.ones((3, 5), dtype=bool), top, left), 10, 12), truth[10:20, 10:22])
