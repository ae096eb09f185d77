"""Masks and probabilities come back from OpenCV, Pillow, tifffile and rasterio as they were written."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from naslora_core.data.dataset.image_files.geotiff import georeference
from pipelines.predict.mask_files import CLASS_PALETTE, read_ids, save_mask, save_probability

# Pixel size and tie point, as a GeoTIFF has them.
PLACE = [(33550, 12, 3, (0.1, 0.1, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 690000.0, 5335000.0, 0.0), True)]
KINDS = {"mask.png": [], "mask.tif": PLACE}


@pytest.fixture
def ids():
    return np.random.default_rng(0).integers(0, 5, size=(20, 30)).astype(np.uint8)


@pytest.mark.parametrize("name", KINDS)
def test_without_a_palette_opencv_returns_the_ids_and_with_one_their_colours(tmp_path, ids, name):
    plain, coloured = tmp_path / "plain" / name, tmp_path / "coloured" / name
    save_mask(ids, plain, several=True, has_palette=False, tags=KINDS[name])
    save_mask(ids, coloured, several=True, has_palette=True, tags=KINDS[name])
    for flag in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE):
        np.testing.assert_array_equal(cv2.imread(str(plain), flag), ids)
    np.testing.assert_array_equal(cv2.imread(str(coloured), cv2.IMREAD_UNCHANGED), CLASS_PALETTE[ids][..., ::-1])
    for path, mode in ((plain, "L"), (coloured, "P")):
        with Image.open(path) as picture:
            assert picture.mode == mode
            np.testing.assert_array_equal(np.asarray(picture), ids)
        np.testing.assert_array_equal(read_ids(path, several=True), ids)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("has_palette", [True, False])
def test_a_mask_of_one_class_is_0_and_255_either_way(tmp_path, ids, name, has_palette):
    path = tmp_path / name
    save_mask((ids > 0).astype(np.uint8), path, several=False, has_palette=has_palette, tags=KINDS[name])
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.where(ids > 0, 255, 0))
    np.testing.assert_array_equal(read_ids(path, several=False), ids > 0)


def probabilities(kind, classes):
    values = np.random.default_rng(classes).random((classes, 20, 30), dtype=np.float32)
    return values if kind == "float32" else np.rint(values * np.iinfo(kind).max).astype(kind)


@pytest.mark.parametrize("kind", ["float32", "uint16", "uint8"])
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6, 20])
def test_opencv_returns_every_class_of_a_probability_file(tmp_path, kind, classes):
    values, path = probabilities(kind, classes), tmp_path / "probability.tif"
    save_probability(values, path, [])
    found, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    assert found
    np.testing.assert_array_equal(pages, values)
    np.testing.assert_array_equal(tifffile.imread(path), values)
    with Image.open(path) as picture:
        assert picture.n_frames == classes


@pytest.mark.parametrize("kind", ["float32", "uint16", "uint8"])
def test_one_class_is_one_picture(tmp_path, kind):
    (values,), path = probabilities(kind, 1), tmp_path / "probability.tif"
    save_probability(values, path, [])
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), values)


@pytest.mark.parametrize("kind", ["float32", "uint16", "uint8"])
@pytest.mark.parametrize("classes", [1, 2, 3, 6])
def test_the_classes_of_a_geotiff_are_bands_at_its_place(tmp_path, kind, classes):
    rasterio = pytest.importorskip("rasterio")
    values, path = probabilities(kind, classes), tmp_path / "probability.tif"
    save_probability(values if classes > 1 else values[0], path, PLACE)
    assert [tag[:4] for tag in georeference(path)] == [tag[:4] for tag in PLACE]
    with rasterio.open(path) as file:
        assert file.transform.almost_equals(rasterio.Affine(0.1, 0, 690000, 0, -0.1, 5335000))
        np.testing.assert_array_equal(file.read(), values)
    np.testing.assert_array_equal(tifffile.imread(path), values if classes > 1 else values[0])
