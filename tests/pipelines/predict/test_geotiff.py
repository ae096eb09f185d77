"""GeoTIFF in, GeoTIFF out: rasterio, which had no part in writing, finds every file where the image lies."""

import json
import sys
from itertools import product

import numpy as np
import pytest

from naslora_core.data.dataset.image_files.geotiff import georeference, read_geotiff
from naslora_core.data.dataset.image_files.reading import ImageReading, ValueRange
from naslora_core.errors import DataError
from naslora_core.progress import silent
from pipelines.predict.files import TileChoice, predict_files
from pipelines.predict.inputs import InputImage
from pipelines.predict.mask_files import read_ids
from pipelines.predict.outputs import OutputChoice

rasterio = pytest.importorskip("rasterio")
# Ten centimetres a pixel, near Munich, in UTM zone 32 north.
PLACE = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.1, 0, 690000, 0, -0.1, 5335000)}


def write(path, bands, **settings):
    settings = {"photometric": "rgb" if len(bands) == 3 else "minisblack", **PLACE, **settings}
    with rasterio.open(path, "w", driver="GTiff", dtype=bands.dtype, count=len(bands), height=bands.shape[1],
                       width=bands.shape[2], **settings) as file:  # fmt: skip
        file.write(bands)
    return path


@pytest.fixture
def bands():
    pixels = np.random.default_rng(3).integers(0, 100, size=(4, 80, 130)).astype(np.uint8)
    pixels[:3, 20:60, 40:90] += 150
    return pixels


def predict(path, out, classes=("roof",)):
    def model(images):
        channels = [image.transpose(2, 0, 1)[: len(classes)].astype(np.float32) / 255 for image in images]
        return channels if len(classes) > 1 else [channel[0] for channel in channels]

    rows = []
    choice = OutputChoice(out, 0.5, classes, probability="uint8", has_polygons=True)
    predict_files(model, [InputImage(path, path.stem)], TileChoice(lambda _: 64, 0.25), choice, 4, silent, rows)
    return rows[0]


@pytest.mark.parametrize("classes", [("roof",), ("roof", "road")])
def test_masks_and_probabilities_lie_where_the_image_lies(tmp_path, bands, classes):
    path = write(tmp_path / "field.tif", bands[:3])
    assert predict(path, tmp_path / "out", classes).status == "predicted"
    for kind, count in (("mask", 1), ("probability", len(classes))):
        with rasterio.open(tmp_path / "out" / f"field_{kind}.tif") as file:
            assert file.crs == PLACE["crs"]
            assert file.transform.almost_equals(PLACE["transform"])
            assert (file.count, file.shape) == (count, (80, 130))
            if kind == "probability":
                np.testing.assert_allclose(file.read(1).astype(int), bands[0], atol=1)
    if len(classes) == 1:
        np.testing.assert_array_equal(read_ids(tmp_path / "out" / "field_mask.tif", several=False), bands[0] > 127)


def test_polygons_of_a_geotiff_are_in_longitude_and_latitude(tmp_path, bands):
    path = write(tmp_path / "field.tif", bands[:3])
    predict(path, tmp_path / "out")
    collection = json.loads((tmp_path / "out" / "field_polygons.geojson").read_text())
    assert collection["coordinates_are"].startswith("longitude and latitude")
    (feature,) = collection["features"]
    assert feature["properties"]["area_px"] == 40 * 50
    ring = np.array(feature["geometry"]["coordinates"][0])
    # The corners of rows 20..60 and columns 40..90, by rasterio's own way from pixels to the Earth.
    places = [rasterio.transform.xy(PLACE["transform"], *corner, offset="ul") for corner in product((20, 60), (40, 90))]
    east, north = rasterio.warp.transform(PLACE["crs"], "EPSG:4326", *zip(*places, strict=True))
    np.testing.assert_allclose(
        [ring.min(axis=0), ring.max(axis=0)], [[min(east), min(north)], [max(east), max(north)]], atol=1e-9
    )
    assert 11 < ring[:, 0].mean() < 12
    assert 48 < ring[:, 1].mean() < 49


def test_bands_become_rgb_as_they_are_named_and_deep_ones_are_refused(tmp_path, bands):
    four = write(tmp_path / "four.tif", bands)
    np.testing.assert_array_equal(read_geotiff(four), bands[:3].transpose(1, 2, 0))
    one = write(tmp_path / "one.tif", bands[:1])
    np.testing.assert_array_equal(read_geotiff(one), bands[[0, 0, 0]].transpose(1, 2, 0))
    turned = write(tmp_path / "turned.tif", bands[:3], photometric="minisblack")
    with rasterio.open(turned, "r+") as file:
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("blue", "green", "red")]
    np.testing.assert_array_equal(read_geotiff(turned), bands[[2, 1, 0]].transpose(1, 2, 0))
    with pytest.raises(DataError, match="bands of uint16; convert it to 8 bits"):
        read_geotiff(write(tmp_path / "deep.tif", bands[:3].astype(np.uint16)))


@pytest.mark.parametrize("has_rasterio", [True, False])
def test_a_model_of_declared_bands_reads_those_of_a_geotiff(tmp_path, bands, monkeypatch, has_rasterio):
    deep = write(tmp_path / "deep.tif", bands.astype(np.uint16) * 16)
    if not has_rasterio:
        monkeypatch.setitem(sys.modules, "rasterio", None)
    reading = ImageReading(bands=(4, 2, 1), range=ValueRange(low=0, high=255 * 16))
    np.testing.assert_array_equal(read_geotiff(deep, reading), bands[[3, 1, 0]].transpose(1, 2, 0))
    each = ImageReading(bands=(2,), range=ValueRange(percentiles=(0, 100)))
    low, high = bands[1].min(), bands[1].max()
    expected = np.rint((bands[1].astype(float) - low) / (high - low) * 255)
    np.testing.assert_array_equal(read_geotiff(deep, each)[..., 2], expected)
    with pytest.raises(DataError, match="has 4 bands, and band 5 is asked for"):
        read_geotiff(deep, ImageReading(bands=(5,), range=ValueRange(low=0, high=9)))


def test_without_rasterio_masks_keep_their_place_and_polygons_say_what_is_missing(tmp_path, bands, monkeypatch):
    path = write(tmp_path / "field.tif", bands[:3])
    monkeypatch.setitem(sys.modules, "rasterio", None)
    np.testing.assert_array_equal(read_geotiff(path), bands[:3].transpose(1, 2, 0))
    row = predict(path, tmp_path / "out")
    assert row.status == "failed"
    assert "naslora[geotiff]" in row.message
    deep = write(tmp_path / "deep.tif", bands)
    with pytest.raises(DataError, match=r"let rasterio read it: pip install 'naslora\[geotiff\]'"):
        read_geotiff(write(tmp_path / "five.tif", np.repeat(bands, 2, axis=0)))
    assert georeference(deep)


def test_an_ordinary_or_broken_tiff_lies_nowhere(tmp_path, bands):
    from PIL import Image

    plain = tmp_path / "plain.tif"
    Image.fromarray(bands[0]).save(plain)
    broken = tmp_path / "broken.tif"
    broken.write_bytes(plain.read_bytes()[:20])
    assert georeference(plain) == georeference(broken) == georeference(tmp_path / "photo.png") == []
