"""Rings and ovals: a pixel belongs to what holds its centre, and to one of two shapes that share an edge."""

import math

import cv2
import numpy as np
import pytest

from naslora_core.data.importers.painting.pixel_centres import Oval, Rings


def paint(shape: Rings | Oval, height: int = 30, width: int = 40) -> np.ndarray:
    canvas = np.zeros((height, width), bool)
    top, left, inside = shape.paint(height, width)
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return canvas


def test_rings_hold_the_centres_that_opencv_finds_inside() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        ring = (rng.random((3, 2)) * (40, 30)).astype(np.float32)
        y, x = np.mgrid[:30, :40] + 0.5
        inside = [
            cv2.pointPolygonTest(ring, (float(u), float(v)), False) > 0 for u, v in zip(x.flat, y.flat, strict=True)
        ]
        np.testing.assert_array_equal(paint(Rings([ring])), np.reshape(inside, (30, 40)))


@pytest.mark.parametrize("on_edge", ["after", "before"])
def test_shapes_that_share_an_edge_share_no_pixel_and_leave_none_out(on_edge: str) -> None:
    corners = np.array([[2.5, 1.5], [30.5, 1.5], [30.5, 25.5], [2.5, 25.5]])
    halves = [Rings([corners[[0, 1, 2]]], on_edge), Rings([corners[[0, 2, 3]]], on_edge)]  # type: ignore[arg-type]
    first, second = map(paint, halves)
    assert not (first & second).any()
    np.testing.assert_array_equal(first | second, paint(Rings([corners], on_edge)))  # type: ignore[arg-type]
    assert (first | second).sum() == 28 * 24


def test_a_ring_within_a_ring_is_a_hole() -> None:
    outer = np.array([[2, 2], [20, 2], [20, 20], [2, 20]])
    assert paint(Rings([outer, outer // 2 + 4])).sum() == 18 * 18 - 9 * 9


@pytest.mark.parametrize(
    "ring", [[[0, 0], [math.nan, 2], [3, 3]], [[0, 0], [math.inf, 2], [3, 3]], [[0, 0], [1e9, 2], [3, 3]]]
)
def test_corners_that_are_no_places_are_refused(ring: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="a corner lies at"):
        Rings([np.array(ring)]).paint(30, 40)


def test_nothing_outside_of_the_image_is_painted() -> None:
    far = np.array([[-30, -20], [90, -20], [90, 70], [-30, 70]])
    assert paint(Rings([far])).all()
    assert not paint(Rings([far + 95])).any()
    assert paint(Rings([])).sum() == 0
    assert not paint(Oval(-20, -20, 10, 10)).any()
    assert paint(Oval(-20, -15, 80, 60)).all()
