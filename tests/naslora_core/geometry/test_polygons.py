"""Shapes say exactly what the mask said; read back by other programs' rules."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline
from pycocotools.coco import COCO

from naslora_core.geometry.polygons import coco_annotations, geojson, outlines


def inside(polygon, shape):
    """Which pixels' middles a polygon with holes contains, by matplotlib."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    covered = [Outline(np.vstack([ring, ring[:1]])).contains_points(points).reshape(shape) for ring in polygon]
    return covered[0] & ~np.any([np.zeros(shape, bool), *covered[1:]], axis=0)


@settings(max_examples=80, deadline=None)
@given(arrays(np.uint8, (9, 11), elements=st.integers(0, 1)))
def test_the_pixels_inside_the_outlines_are_those_of_the_mask(mask):
    drawn = np.zeros(mask.shape, bool)
    for polygon in outlines(mask):
        drawn |= inside(polygon, mask.shape)
    np.testing.assert_array_equal(drawn, mask > 0)


def test_a_rectangle_is_outlined_along_the_edges_of_its_pixels():
    mask = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:9] = 1
    ((ring,),) = outlines(mask)
    assert sorted(map(tuple, ring)) == [(3, 2), (3, 5), (9, 2), (9, 5)]


def test_geojson_winds_outlines_anticlockwise_and_closes_them():
    ids = np.zeros((20, 20), np.uint8)
    ids[2:18, 2:18] = 2
    ids[8:12, 8:12] = 0
    ids[0, 0] = 1
    collection = json.loads(json.dumps(geojson(ids, ("rust", "mould"), None)))
    assert [feature["properties"]["class"] for feature in collection["features"]] == ["rust", "mould"]
    assert collection["features"][0]["properties"]["area_px"] == 1
    outer, hole = collection["features"][1]["geometry"]["coordinates"]
    for ring, sign in ((outer, 1), (hole, -1)):
        assert ring[0] == ring[-1]
        x, y = np.array(ring).T
        assert np.sign((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) == sign


def test_coco_gives_back_every_pixel_of_every_class(tmp_path):
    ids = np.random.default_rng(5).integers(0, 4, size=(31, 17)).astype(np.uint8)
    annotations = [{"id": number, **a} for number, a in enumerate(coco_annotations(ids, 7), start=1)]
    image = {"id": 7, "file_name": "leaf.png", "height": 31, "width": 17}
    categories = [{"id": number, "name": str(number)} for number in (1, 2, 3)]
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps({"images": [image], "annotations": annotations, "categories": categories}))
    coco = COCO(file)
    assert len(annotations) == 3
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=7)):
        wanted = ids == annotation["category_id"]
        np.testing.assert_array_equal(coco.annToMask(annotation), wanted)
        assert annotation["area"] == wanted.sum()
