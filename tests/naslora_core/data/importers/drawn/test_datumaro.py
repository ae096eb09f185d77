"""Datumaro JSON: masks as Datumaro merges them, and what is refused or counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from naslora_core.data.importers import Found
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


def write(root: Path, drawn: list[Any], /, subset: str = "default", **changes: Any) -> Found:
    for folder in ("annotations", f"images/{subset}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / subset / "a.png")
    item = {"id": "a", "annotations": drawn, "image": {"path": "a.png", "size": [HEIGHT, WIDTH]}}
    content = {
        "infos": {},
        "categories": {"label": {"labels": [{"name": "leaf", "parent": ""}, {"name": "spot", "parent": ""}]}},
        "items": [item | changes],
    }
    (root / "annotations" / f"{subset}.json").write_text(json.dumps(content))
    return find(root, "datumaro")


def polygon(**changes: Any) -> dict[str, Any]:
    return {"id": 3, "type": "polygon", "label_id": 0, "points": [2, 2, 9, 2, 9, 9], "z_order": 0} | changes


@pytest.mark.parametrize("folder", ["datumaro/polygons", "datumaro/masks"])
def test_masks_are_those_that_datumaro_merges(folder: str, tmp_path: Path) -> None:
    found = find(lay_out(folder, tmp_path / "x", "images"), "datumaro")
    assert found.classes == ("leaf", "spot")
    assert_same(masks_of(found), tool_masks(folder))
    assert {source.name: source.split for source in found.sources}["disc"] == "validation"


def test_what_is_no_outline_is_counted_and_boxes_alone_are_refused(tmp_path: Path) -> None:
    box = {"id": 1, "type": "bbox", "label_id": 1, "bbox": [1, 1, 5, 5]}
    found = write(tmp_path, [polygon(), box, box, {"id": 2, "type": "caption", "caption": "x"}])
    assert found.notes == (
        "left out: 2 bbox, 1 caption: they are no outlines",
        "labels without any outline were left out: spot",
    )
    with pytest.raises(DataError, match="annotations has no polygons and no masks, maybe boxes only"):
        write(tmp_path, [box])


def test_images_of_one_name_are_told_apart_by_their_subset(tmp_path: Path) -> None:
    write(tmp_path, [polygon()], "train")
    found = write(tmp_path, [polygon()], "val")
    assert [(source.name, source.image) for source in found.sources] == [
        ("train_a", tmp_path / "images/train/a.png"),
        ("val_a", tmp_path / "images/val/a.png"),
    ]


def test_an_image_under_the_path_of_another_machine_or_missing(tmp_path: Path) -> None:
    found = write(tmp_path, [polygon()], image={"path": "/home/me/photos/a.png", "size": [HEIGHT, WIDTH]})
    assert found.sources[0].image == tmp_path / "images/default/a.png"
    (tmp_path / "images/default/a.png").unlink()
    assert find(tmp_path, "datumaro").sources[0].image is None
    (tmp_path / "images/default/a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.jpg cannot be read"):
        find(tmp_path, "datumaro")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"annotations": 3}, "not iterable"),
        ({"annotations": [polygon(label_id=2)]}, "item a has the label 2 of 2"),
        ({"annotations": [polygon(label_id=None)]}, "item a has the label None of 2"),
        ({"annotations": [polygon(type=3)]}, "an annotation of type 3"),
        ({"annotations": [polygon(z_order="1")]}, "the z_order '1'"),
        ({"annotations": [{"type": "polygon"}]}, "'label_id' is missing"),
        ({"id": 5}, "an item has the id 5"),
        ({"image": {"path": "a.png", "size": [0, 40]}}, "a size is 40 x 0"),
        ({"image": {"path": "a.png", "size": [10**6, 10**6]}}, "a size is 1000000 x 1000000"),
    ],
)
def test_a_file_of_wrong_types_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=rf"default\.json is not sound Datumaro JSON .*{problem}"):
        write(tmp_path, [polygon()], **changes)


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (polygon(points=[1, 2, 3]), "odd number of coordinates"),
        (polygon(points=[1, 2, 3, 4]), "it has 2 corners"),
        (polygon(points="ab"), "odd number of coordinates"),
        (polygon(points=[1, 1, 5, 1, 5, 1e9]), r"a corner lies at 1e\+09"),
        (polygon(type="mask", rle={"counts": "zz", "size": [HEIGHT, WIDTH]}), "its run lengths cover"),
        (polygon(type="mask", rle={"counts": [5], "size": [3, 3]}), r"its size \[3, 3\] is not that of the image"),
        (polygon(type="mask", rle={"counts": [5]}), "'size' is missing"),
    ],
)
def test_an_outline_that_is_none_is_named(tmp_path: Path, annotation: dict[str, Any], problem: str) -> None:
    found = write(tmp_path, [annotation])
    with pytest.raises(DataError, match=rf"default\.json.*{problem}"):
        masks_of(found)


def test_subsets_that_number_labels_differently_and_broken_json_are_refused(tmp_path: Path) -> None:
    write(tmp_path, [polygon()], "train")
    file = tmp_path / "annotations" / "train.json"
    (tmp_path / "annotations" / "val.json").write_text(file.read_text().replace("leaf", "tree"))
    with pytest.raises(DataError, match=r"val\.json has other labels than .*train\.json"):
        find(tmp_path, "datumaro")
    file.write_text(file.read_text()[:-3])
    with pytest.raises(DataError, match=r"train\.json is not sound Datumaro JSON"):
        find(tmp_path, "datumaro")
