"""A corpus of annotation files and folders that no importer can take: each is refused in a short message that says why.

The message names the file or folder, and what was expected or found.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.importers import IMPORTERS, ImportRequest, import_dataset, recognise
from naslora_core.errors import NasLoraError

SIDE, COUNT = 24, 6
LONGEST = 700
SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]


@dataclass(frozen=True)
class Kind:
    """One kind of bad input: the layout it is written in, how it is spoiled, and what the message says."""

    name: str
    layout: str
    spoil: Callable[[Path], None]
    says: tuple[str, ...]


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)


def write_coco(root: Path) -> None:
    for number in range(COUNT):
        picture(root / f"{number}.png", number)
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": SIDE, "width": SIDE} for n in range(COUNT)],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "segmentation": [SQUARE]} for n in range(COUNT)],
        "categories": [{"id": 1, "name": "leaf"}],
    }
    (root / "labels.json").write_text(json.dumps(content))


def write_yolo(root: Path) -> None:
    for number in range(COUNT):
        picture(root / f"images/train/{number}.png", number)
        label = root / f"labels/train/{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.1 0.1 0.6 0.1 0.6 0.6\n")
    (root / "data.yaml").write_text("names: [leaf]\ntrain: images/train\n")


def write_folder(root: Path) -> None:
    for number in range(COUNT):
        picture(root / f"images/{number}.png", number)
        (root / "masks").mkdir(exist_ok=True)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[2:9, 2:9] = 255
        Image.fromarray(mask).save(root / f"masks/{number}.png")


def coco(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        content = json.loads((root / "labels.json").read_text())
        change(content)
        (root / "labels.json").write_text(json.dumps(content))

    return spoil


def label(line: str) -> Callable[[Path], None]:
    return lambda root: (root / "labels/train/3.txt").write_text(line) and None


def settings(text: str) -> Callable[[Path], None]:
    return lambda root: (root / "data.yaml").write_text(text) and None


def listed(*lines: str) -> Callable[[Path], None]:
    return lambda root: (root / "pairs.csv").write_text("\n".join(lines)) and None


def many_folders(root: Path) -> None:
    for number in range(300):
        (root / f"folder_{number}").mkdir()
    (root / "images").rename(root / "elsewhere")


def mismatched(root: Path) -> None:
    for path in (root / "masks").iterdir():
        path.rename(path.with_name(f"other_{path.name}"))


def no_images(root: Path) -> None:
    for path in (root / "images").iterdir():
        path.rename(path.with_suffix(".heic"))


def both_forms(root: Path) -> None:
    picture(root / "images/u\u0308.png", 50)
    picture(root / "images/\u00fc.png", 51)


def three_values(root: Path) -> None:
    for path in (root / "masks").iterdir():
        Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) % 40).save(path)


def many_contradictions(root: Path) -> None:
    for number in range(300):
        (root / f"labels_{number}.json").write_text((root / "labels.json").read_text())


# One line a kind reads as a table.
# ruff: noqa: E501
KINDS = [
    Kind("coco_cut_short", "coco", lambda root: (root / "labels.json").write_text((root / "labels.json").read_text()[:-3]) and None, ("labels.json", "COCO")),
    Kind("coco_with_nan", "coco", coco(lambda c: c["images"][0].update(width=float("nan"))), ("labels.json",)),
    Kind("coco_nested_too_deep", "coco", lambda root: (root / "labels.json").write_text('{"images": ' + "[" * 9000 + '"annotations" "categories"') and None, ("labels.json",)),
    Kind("coco_without_names", "coco", coco(lambda c: c["categories"][0].pop("name")), ("labels.json", "name", "missing")),
    Kind("coco_name_is_a_number", "coco", coco(lambda c: c["categories"][0].update(name=7)), ("labels.json", "expected text")),
    Kind("coco_image_without_size", "coco", coco(lambda c: c["images"][2].pop("height")), ("labels.json", "height")),
    Kind("coco_image_of_no_width", "coco", coco(lambda c: c["images"][2].update(width=0)), ("labels.json", "size of 0 x")),
    Kind("coco_image_of_a_billion_pixels", "coco", coco(lambda c: c["images"][2].update(width=10**6, height=10**6)), ("labels.json", "size of 1000000")),
    Kind("coco_annotation_of_no_image", "coco", coco(lambda c: c["annotations"][0].update(image_id=77)), ("labels.json", "annotation 0", "not listed")),
    Kind("coco_annotation_of_no_category", "coco", coco(lambda c: c["annotations"][0].update(category_id=77)), ("labels.json", "annotation 0", "not listed")),
    Kind("coco_boxes_alone", "coco", coco(lambda c: [a.update(segmentation=[]) for a in c["annotations"]]), ("labels.json", "boxes")),
    Kind("coco_words_for_corners", "coco", coco(lambda c: c["annotations"][0].update(segmentation=[["a"] * 8])), ("labels.json", "annotation 0", "outline")),
    Kind("coco_run_lengths_of_another_size", "coco", coco(lambda c: c["annotations"][0].update(segmentation={"size": [3, 3], "counts": [9]})), ("labels.json", "annotation 0", "outline")),
    Kind("coco_run_lengths_too_long", "coco", coco(lambda c: c["annotations"][0].update(segmentation={"size": [SIDE, SIDE], "counts": [10**9]})), ("labels.json", "annotation 0", "outline")),
    Kind("coco_no_list", "coco", coco(lambda c: c.update(annotations={"a": 1})), ("labels.json",)),
    Kind("coco_many_files_of_no_split", "coco", many_contradictions, ("needs train, val or test", "…")),
    Kind("yolo_box", "yolo", label("0 0.5 0.5 0.2 0.2"), ("3.txt line 1", "box")),
    Kind("yolo_pixels", "yolo", label("0 10 10 60 10 60 60"), ("3.txt line 1", "fractions")),
    Kind("yolo_two_corners_and_a_half", "yolo", label("0 0.1 0.1 0.5 0.1 0.5"), ("3.txt line 1", "coordinates")),
    Kind("yolo_name_for_a_number", "yolo", label("leaf 0.1 0.1 0.5 0.1 0.5 0.5"), ("3.txt line 1", "expected a class")),
    Kind("yolo_class_without_a_name", "yolo", label("4 0.1 0.1 0.5 0.1 0.5 0.5"), ("3.txt", "class 4 has no name")),
    Kind("yolo_not_text", "yolo", lambda root: (root / "labels/train/3.txt").write_bytes(b"\xff\xfe\x00") and None, ("3.txt", "not text")),
    Kind("yolo_nan", "yolo", label("0 nan 0.1 0.5 0.1 0.5 0.5"), ("3.txt line 1", "outside 0 to 1")),
    Kind("yolo_settings_without_names", "yolo", settings("train: images/train\n"), ("data.yaml", "names")),
    Kind("yolo_settings_no_yaml", "yolo", settings("names: [leaf\ntrain: {"), ("data.yaml", "YAML")),
    Kind("yolo_settings_with_a_tag", "yolo", settings("names: !!python/object/apply:os.system [ls]\n"), ("data.yaml", "YAML")),
    Kind("yolo_names_are_a_word", "yolo", settings("names: {leaf: 0}\ntrain: images/train\n"), ("data.yaml", "names")),
    Kind("yolo_no_image", "yolo", lambda root: (root / "images").rename(root / "pictures") and None, ("data.yaml", "leads to no image")),
    Kind("pairs_with_another_header", "folder", listed("picture,mask", "images/1.png,masks/1.png"), ("pairs.csv", "expected image,mask")),
    Kind("pairs_of_a_file_that_is_not_there", "folder", listed("image,mask", "images/9.png,masks/1.png"), ("pairs.csv line 2", "9.png is not there")),
    Kind("pairs_of_another_kind_of_file", "folder", listed("image,mask", "images/1.svg,masks/1.png"), ("pairs.csv line 2", "no image file")),
    Kind("pairs_with_another_split", "folder", listed("image,mask,split", "images/1.png,masks/1.png,dev"), ("pairs.csv line 2", "'dev' is not a split")),
    Kind("pairs_twice", "folder", listed("image,mask", "images/1.png,masks/1.png", "images/1.png,masks/1.png"), ("called '1'", "rename")),
    Kind("pairs_of_nothing", "folder", listed("image,mask"), ("pairs.csv", "no pair")),
    Kind("no_folder_of_images", "folder", many_folders, ("no images folder", "…")),
    Kind("names_that_match_nothing", "folder", mismatched, ("no mask", "0.png", "other_0.png")),
    Kind("no_image_that_is_read", "folder", no_images, ("holds no image file", "0.heic")),
    Kind("one_name_in_two_unicode_forms", "folder", both_forms, ("holds both", "rename or remove one")),
    Kind("values_that_nobody_explains", "folder", three_values, ("values", "--class")),
]  # fmt: skip
WRITE = {"coco": write_coco, "yolo": write_yolo, "folder": write_folder}


def request(root: Path) -> ImportRequest:
    pairs = root / "pairs.csv"
    return ImportRequest(root, pairs=pairs if pairs.is_file() else None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_refused_with_the_file_and_the_reason(kind: Kind, tmp_path: Path) -> None:
    root = tmp_path / "source"
    root.mkdir()
    WRITE[kind.layout](root)
    kind.spoil(root)
    with pytest.raises(NasLoraError) as caught:
        import_dataset(IMPORTERS[kind.layout](request(root)), request(root), tmp_path / "data/domain")
    message = str(caught.value)
    for words in kind.says:
        assert words in message
    assert len(message.replace(str(tmp_path), "")) < LONGEST
    assert not (tmp_path / "data/domain").exists()


@pytest.mark.parametrize("layout", WRITE)
def test_what_is_not_spoiled_is_taken(layout: str, tmp_path: Path) -> None:
    root = tmp_path / "source"
    root.mkdir()
    WRITE[layout](root)
    assert recognise(root).name == layout
    assert len(import_dataset(IMPORTERS[layout](request(root)), request(root), tmp_path / "data/domain").pairs) == COUNT
