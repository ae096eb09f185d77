"""labelme: masks as its own shapes_to_label paints them, images from files or from the JSON, and what is refused."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.encoding import read_pair
from naslora_core.data.importers import Found, ImportRequest, import_dataset
from naslora_core.errors import DataError
from tests.naslora_core.data.importers.drawn.tool_files import (
    HEIGHT,
    WIDTH,
    assert_same,
    find,
    lay_out,
    masks_of,
    tool_masks,
)

KINDS = ("circle", "rectangle", "lines", "point", "ignored")


def write(root: Path, drawn: list[Any], /, name: str = "a", with_image: bool = True, **changes: Any) -> Found:
    root.mkdir(parents=True, exist_ok=True)
    if with_image:
        Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(root / f"{name}.png")
    content = {"version": "5.0.1", "flags": {}, "shapes": drawn, "imagePath": f"{name}.png", "imageData": None,
               "imageHeight": HEIGHT, "imageWidth": WIDTH} | changes  # fmt: skip
    (root / f"{name}.json").write_text(json.dumps(content))
    return find(root, "labelme")


def shape(label: str = "leaf", kind: str = "polygon", **changes: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": [[2, 2], [9, 2], [9, 9]]} | changes


@pytest.mark.parametrize("folder", ["labelme/polygons", "labelme/masks"])
def test_masks_are_those_that_labelme_paints(folder: str, tmp_path: Path) -> None:
    found = find(lay_out(folder, tmp_path / "x"), "labelme")
    assert found.classes == ("leaf", "spot")
    assert_same(masks_of(found), tool_masks(folder))


def test_every_kind_of_shape_is_painted_and_ignored_pixels_stay_ignored(tmp_path: Path) -> None:
    found = find(lay_out("labelme/kinds", tmp_path / "x", names=KINDS), "labelme")
    masks = masks_of(found)
    assert_same(masks, tool_masks("labelme/kinds", KINDS))
    assert set(np.unique(masks["ignored"])) == {0, 1, 255}
    dataset = import_dataset(found, ImportRequest(tmp_path / "x"), tmp_path / "data" / "leaves")
    pair = next(pair for pair in dataset.pairs if pair.name == "ignored")
    np.testing.assert_array_equal(read_pair(pair, dataset.card)[1], masks["ignored"])
    assert found.notes == (
        "shapes without an area are painted as labelme paints them, lines 10 px wide, points 11: 1 of line, "
        "1 of linestrip, 1 of point",
    )


def test_an_image_that_is_no_file_is_taken_from_the_json(tmp_path: Path) -> None:
    root = lay_out("labelme/polygons", tmp_path / "x", names=("disc",))
    found = find(root, "labelme")
    assert "9 images are no files and were taken from the JSON: border.json, empty.json, hole.json" in found.notes[0]
    dataset = import_dataset(found, ImportRequest(root), tmp_path / "data" / "leaves")
    with Image.open(dataset.root / "images" / "square.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.full((HEIGHT, WIDTH, 3), 128))


def test_an_image_in_the_json_that_is_damaged_is_refused(tmp_path: Path) -> None:
    for number, data in enumerate(("no base64 !", base64.b64encode(b"no picture").decode(), 7)):
        found = write(tmp_path / str(number), [shape()], with_image=False, imageData=data)
        with pytest.raises(DataError, match=r"a\.json (is not sound labelme JSON|cannot be read)"):
            found.sources[0].image()  # type: ignore[misc,operator]


def test_the_order_of_classes_is_that_of_the_list_of_labels(tmp_path: Path) -> None:
    shapes = [shape("ant"), shape("bee"), shape("cow")]
    assert write(tmp_path / "a", shapes).classes == ("ant", "bee", "cow")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "labels.txt").write_text("__ignore__\n_background_\ncow\nunused\nbee\n")
    assert write(tmp_path / "b", shapes).classes == ("cow", "bee", "ant")


def test_folders_of_splits_are_one_dataset_and_images_without_json_are_counted(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / split, [shape()])
    Image.new("RGB", (4, 4)).save(tmp_path / "train" / "later.jpg")
    found = find(tmp_path, "labelme")
    assert [(source.name, source.split) for source in found.sources] == [("train_a", "train"), ("val_a", "validation")]
    assert found.notes == ("1 images have no JSON file and were left out, as not labelled: later.jpg",)


def test_a_file_of_windows_with_an_image_in_another_folder_finds_it(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / "b.jpg")
    found = write(tmp_path / "labels", [shape()], with_image=False, imagePath="..\\images\\b.jpg")
    assert found.sources[0].image is None
    found = find(tmp_path, "labelme")
    assert found.sources[0].image == tmp_path / "images" / "b.jpg"


def test_kinds_that_labelme_does_not_paint_are_counted(tmp_path: Path) -> None:
    found = write(tmp_path, [shape(), shape(kind="cuboid"), shape("x", "cuboid")])
    assert (found.classes, found.notes) == (("leaf",), ("left out: 2 cuboid: labelme paints no such",))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"shapes": 3}, "shapes is no list of objects"),
        ({"shapes": [shape(), 3]}, "shapes is no list of objects"),
        ({"shapes": [shape(label=7)]}, "the label of shape 0 is 7, expected text"),
        ({"shapes": [shape(kind=["a"])]}, "the shape_type of shape 0"),
        ({"shapes": [{"points": []}]}, "'label' is missing"),
        ({"imagePath": 5}, "imagePath is 5"),
        ({"imageHeight": "32"}, "a size is 40 x '32'"),
        ({"imageHeight": 10**6, "imageWidth": 10**6}, "a size is 1000000 x 1000000"),
    ],
)
def test_a_file_of_wrong_types_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json is not sound labelme JSON: .*{problem}"):
        write(tmp_path, [shape()], **changes)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (shape(points=[[1, 1], [2, 2]]), "it has 2 corners, expected a list of 3"),
        (shape(points=[[1, 1], [2, 2], ["a", 3]]), "no pairs of numbers"),
        (shape(points=[[1, 1], [2, 2], [3]]), "is not sound"),
        (shape(points=[[1, 1], [2, 2], [1e9, 3]]), r"a corner lies at 1e\+09 in an image of 40 x 32"),
        (shape(points=[[1, 1], [2, 2], [float("nan"), 3]]), "a corner lies at nan"),
        (shape(points=None), "it has None corners"),
        (shape(kind="circle", points=[[1, 1]]), "it has 1 corners, expected a list of 2"),
        (shape(kind="circle", points=[[1, 1], [1e8, 1]]), "a corner lies at"),
        (shape(kind="mask", mask=None), "expected text in base64"),
        (shape(kind="mask", mask="aGVsbG8="), "its mask cannot be read"),
    ],
)
def test_a_shape_that_is_none_is_named(tmp_path: Path, written: dict[str, Any], problem: str) -> None:
    found = write(tmp_path, [written])
    with pytest.raises(DataError, match=rf"a\.json: shape 0 \(leaf, .*{problem}"):
        masks_of(found)


def test_a_mask_of_another_size_than_its_corners_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("1", (3, 3), 1).save(stream, "PNG")
    mask = base64.b64encode(stream.getvalue()).decode()
    found = write(tmp_path, [shape(kind="mask", mask=mask, points=[[1, 1], [4, 4]])])
    with pytest.raises(DataError, match=r"its mask is of \(3, 3\) px, its corners ask for \(4, 4\)"):
        masks_of(found)


def test_an_image_of_another_size_than_the_json_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json was drawn on 80 x 32 px, but .*a\.png has 40 x 32"):
        write(tmp_path, [shape()], imageWidth=80)


def test_broken_json_and_two_files_of_one_image_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", [shape()])
    (tmp_path / "a" / "b.json").write_text('{"shapes": [, "imagePath": "a.png"}')
    with pytest.raises(DataError, match=r"b\.json is not sound labelme JSON"):
        find(tmp_path / "a", "labelme")
    (tmp_path / "a" / "b.json").write_text((tmp_path / "a" / "a.json").read_text())
    with pytest.raises(DataError, match=r"a\.json and .*b\.json are both of .*a\.png"):
        find(tmp_path / "a", "labelme")


def test_files_without_any_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 files of labelme have no shape with a label"):
        write(tmp_path, [shape("_background_")])
