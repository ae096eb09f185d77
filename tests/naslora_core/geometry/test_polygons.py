"""Polygons say exactly what the mask said; read back by other programs' rules."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline
from pycocotools import mask as run_lengths

from naslora_core.geometry.polygons import geojson, outlines

MASKS = arrays(np.uint8, (9, 11), elements=st.integers(0, 1))


def by_matplotlib(polygon, shape):
    """Which pixels' middles a polygon with holes contains."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    covered = [Outline(np.vstack([ring, ring[:1]])).contains_points(points).reshape(shape) for ring in polygon]
    return covered[0] & ~np.any([np.zeros(shape, bool), *covered[1:]], axis=0)


def by_pycocotools(polygon, shape):
    """Which pixels it fills, of an outline without its holes."""
    filled = [run_lengths.decode(run_lengths.frPyObjects([ring.ravel().tolist()], *shape))[..., 0] for ring in polygon]
    return (filled[0] > 0) & ~np.any([np.zeros(shape, bool), *[hole > 0 for hole in filled[1:]]], axis=0)


def by_rasterio(polygon, shape):
    rasterize = pytest.importorskip("rasterio.features").rasterize
    rings = [[*ring.tolist(), ring[0].tolist()] for ring in polygon]
    return rasterize([{"type": "Polygon", "coordinates": rings}], out_shape=shape) > 0


@pytest.mark.parametrize("fill", [by_matplotlib, by_pycocotools, by_rasterio])
@settings(max_examples=80, deadline=None)
@given(mask=MASKS)
def test_filled_polygons_are_the_mask_pixel_by_pixel(fill, mask):
    drawn = np.zeros(mask.shape, bool)
    for polygon in outlines(mask):
        drawn |= fill(polygon, mask.shape)
    np.testing.assert_array_equal(drawn, mask > 0)


def test_opencv_draws_the_outline_too_so_its_fill_is_larger_by_a_row_and_a_column():
    mask = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:9] = 1
    ((ring,),) = outlines(mask)
    filled = cv2.fillPoly(np.zeros_like(mask), [ring.astype(np.int32)], 1)
    assert (filled.sum(), mask.sum()) == (4 * 7, 3 * 6)


def test_outlines_and_holes_run_along_the_edges_of_pixels():
    mask = np.zeros((10, 12), np.uint8)
    mask[2:7, 3:9] = 1
    mask[4, 5] = 0
    mask[2, 8] = 0
    ((outer, hole),) = outlines(mask)
    assert sorted(map(tuple, outer)) == [(3, 2), (3, 7), (8, 2), (8, 3), (9, 3), (9, 7)]
    assert sorted(map(tuple, hole)) == [(5, 4), (5, 5), (6, 4), (6, 5)]


@settings(max_examples=80, deadline=None)
@given(mask=MASKS)
def test_area_is_the_number_of_pixels_of_each_piece(mask):
    features = geojson(mask, ("leaf",), None)["features"]
    count, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    pieces = statistics[1:count, cv2.CC_STAT_AREA].tolist()
    assert sorted(feature["properties"]["area_px"] for feature in features) == sorted(pieces)


def test_geojson_winds_outlines_anticlockwise_and_closes_them():
    ids = np.zeros((20, 20), np.uint8)
    ids[2:18, 2:18] = 2
    ids[8:12, 8:12] = 0
    ids[0, 0] = 1
    collection = json.loads(json.dumps(geojson(ids, ("rust", "mould"), None)))
    assert [feature["properties"]["class"] for feature in collection["features"]] == ["rust", "mould"]
    assert [feature["properties"]["area_px"] for feature in collection["features"]] == [1, 16 * 16 - 4 * 4]
    outer, hole = collection["features"][1]["geometry"]["coordinates"]
    for ring, sign in ((outer, 1), (hole, -1)):
        assert ring[0] == ring[-1]
        x, y = np.array(ring).T
        assert np.sign((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) == sign


def test_geojson_says_whether_its_numbers_are_a_place_on_earth():
    ids = np.ones((4, 6), np.uint8)
    pixels = geojson(ids, ("leaf",), None, {"file_name": "june/a.jpg"})
    assert pixels["coordinates_are"].startswith("pixels: x to the right, y down")
    assert "no place on earth" in pixels["coordinates_are"]
    assert pixels["image"] == {"file_name": "june/a.jpg", "width": 6, "height": 4}
    degrees = geojson(ids, ("leaf",), lambda points: points / 100)
    assert degrees["coordinates_are"].startswith("longitude and latitude in WGS 84")
    # Neither may be in a FeatureCollection: RFC 7946, section 7.1.
    assert not {"geometry", "properties"} & pixels.keys()
