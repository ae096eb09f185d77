"""QuPath: GeoJSON becomes the pixels that QuPath's own export paints, and what is no outline is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.errors import DataError
from tests.naslora_core.data.importers.labelled.cases import KINDS, REAL, auto, masks_of, write_image

SQUARE = [[[4, 5], [14, 5], [14, 15], [4, 15], [4, 5]]]


def feature(name: Any = None, geometry: Any = None, **properties: Any) -> dict[str, Any]:
    classified = {} if name is None else {"classification": name if isinstance(name, dict) else {"name": name}}
    shape = {"type": "Polygon", "coordinates": SQUARE} if geometry is None else geometry
    return {
        "type": "Feature",
        "geometry": shape,
        "properties": {"objectType": "annotation", **classified, **properties},
    }


def write(root: Path, content: Any, name: str = "a.geojson") -> Path:
    write_image(root / "a.png")
    (root / name).write_text(json.dumps(content))
    return root


def ids_of(root: Path, **options: Any) -> np.ndarray:
    found = auto(root, "qupath", **options)
    assert callable(found.sources[0].mask)
    mask: np.ndarray = found.sources[0].mask()
    return mask


def test_objects_are_painted_as_labeled_image_server_paints_them(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for kind in KINDS:
        write_image(root / "images" / f"{kind}.tif")
        # Two ways to call the file of x.tif.
        shutil.copy(REAL / "qupath" / f"{kind}.geojson", root / f"{kind}{'.tif' if kind == 'disc' else ''}.geojson")
    card, masks = masks_of(auto(root, "qupath"), root, tmp_path / "slides")
    assert card.classes == ("Stroma", "Tumor", "Tumor: Positive", "unclassified")
    names = {
        "hole": ("Tumor",), "touching": ("Stroma", "Tumor"), "overlapping": ("Stroma", "Tumor"),
        "two_classes": ("Stroma", "Tumor: Positive"),
    }  # fmt: skip
    for kind in KINDS:
        painted = np.asarray(Image.open(REAL / "qupath" / f"{kind}.png"))
        ids = [0, *(card.classes.index(name) + 1 for name in names.get(kind, ("unclassified",)))]
        np.testing.assert_array_equal(masks[kind], np.array(ids, np.uint8)[painted], err_msg=kind)


@pytest.mark.parametrize(
    ("classification", "name"),
    [({"name": "a", "colorRGB": -3}, "a"), ({"names": ["a", "b"], "color": [1, 2, 3]}, "a: b"), (None, "object")],
)
def test_names_of_classes_are_those_qupath_shows(tmp_path: Path, classification: Any, name: str) -> None:
    # Old versions write a list, and colours as one number.
    assert auto(write(tmp_path, [feature(classification)]), "qupath").classes == (name,)


def test_ignored_areas_are_not_labelled_and_frames_are_no_objects(tmp_path: Path) -> None:
    wide = {"type": "Polygon", "coordinates": [[[0, 0], [30, 0], [30, 30], [0, 30], [0, 0]]]}
    root = write(tmp_path, {"features": [feature("Ignore*", wide), feature("cell"), feature("Region*", wide)]})
    found = auto(root, "qupath")
    assert found.classes == ("cell",)
    assert found.notes == ("1 objects of the class Region* are frames and were left out",)
    expected = np.zeros((40, 48), np.uint8)
    expected[:30, :30], expected[5:15, 4:14] = IGNORED_ID, 1
    np.testing.assert_array_equal(ids_of(root), expected)
    _, masks = masks_of(found, root, tmp_path / "made" / "slides")
    np.testing.assert_array_equal(masks["a"], expected)


def test_what_has_no_area_or_another_plane_is_counted(tmp_path: Path) -> None:
    others = [{"type": "LineString", "coordinates": [[1, 1], [9, 9]]},
              {"type": "Polygon", "coordinates": SQUARE, "plane": {"c": -1, "z": 3, "t": 0}}]  # fmt: skip
    root = write(tmp_path, {"features": [feature(), *(feature(geometry=one) for one in others)]}, "a.png.geojson")
    assert ids_of(root).sum() == 100
    assert auto(root, "qupath").notes == ("2 objects are lines or points, or lie in other planes, and were left out",)


def test_an_image_without_a_file_is_named(tmp_path: Path) -> None:
    write_image(write(tmp_path, [feature()]) / "b.png")
    found = auto(tmp_path, "qupath")
    assert [source.name for source in found.sources if source.mask is None] == ["b"]
    assert "1 images have no .geojson file: b" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "FeatureCollection", "features": [], "crs": {"type": "name"}}, "places on Earth"),
        ({"features": {"a": 1}}, "expected a FeatureCollection"),
        ([{"type": "Feature"}], "feature 1 is not sound: 'geometry' is missing"),
        ([feature(geometry={"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]})], "an outline has the shape"),
        ([feature(geometry={"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [5]]]})], "feature 1 is not sound"),
        ([feature({"names": [3]})], "feature 1 is not sound"),
        ([feature(), feature(geometry={"type": "Polygon", "coordinates": 5})], "feature 2 is not sound"),
        ([feature(geometry={"type": "Point", "coordinates": [1, 1]})], "found 0 classes with objects"),
    ],
)
def test_what_is_no_outline_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        auto(write(tmp_path, content), "qupath")


def test_a_file_of_no_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 files are named as no image: b\.geojson; the images are a\.png"):
        auto(write(tmp_path, [feature()], "b.geojson"), "qupath")


def test_an_image_that_exif_turns_is_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.new("RGB", (48, 40)).save(tmp_path / "a.jpg", exif=exif)
    outline = {"type": "Polygon", "coordinates": [[[2, 2], [9, 2], [9, 9], [2, 2]]]}
    (tmp_path / "a.geojson").write_text(json.dumps([{"type": "Feature", "geometry": outline, "properties": {}}]))
    with pytest.raises(DataError, match=r"a\.jpg is turned by its EXIF orientation 3, which QuPath does not do"):
        auto(tmp_path, "qupath")
