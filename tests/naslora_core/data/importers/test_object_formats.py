"""COCO and YOLO: outlines become masks, pixel for pixel, and what is no outline is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from naslora_core.data.importers import IMPORTERS, Found, ImportRequest
from naslora_core.data.importers.painting.mask_files import PALETTE, write_ids
from naslora_core.errors import ConfigError, DataError

HEIGHT, WIDTH = 20, 30
CATEGORIES = [{"id": 1, "name": "leaf"}, {"id": 2, "name": "spot"}]


def square(x0: int, y0: int, x1: int, y1: int) -> list[int]:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def ids_of(*rectangles: tuple[int, int, int, int, int]) -> np.ndarray:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    for class_id, x0, y0, x1, y1 in rectangles:
        ids[y0:y1, x0:x1] = class_id
    return ids


def write_coco(
    root: Path, annotations: list[dict[str, Any]], file: str = "labels.json", image: str = "a.jpg", **changes: Any
) -> Found:
    root.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "a.jpg")
    content: dict[str, Any] = {
        "images": [{"id": 5, "file_name": image, "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"id": number, "image_id": 5, "category_id": 1} | a for number, a in enumerate(annotations)],
        "categories": CATEGORIES,
    }
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(content | changes))
    return IMPORTERS["coco"](ImportRequest(root))


def mask_of(found: Found) -> np.ndarray:
    assert callable(found.sources[0].mask)
    return found.sources[0].mask()


def write_yolo(root: Path, lines: str, settings: str = "names: [leaf, spot]\ntrain: images/train\n") -> Found:
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images/train/a.png")
    (root / "labels/train/a.txt").write_text(lines)
    (root / "data.yaml").write_text(settings)
    return IMPORTERS["yolo"](ImportRequest(root))


def test_run_lengths_of_both_kinds_are_read_as_pycocotools_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(12):
        truth = rng.random((HEIGHT, WIDTH)) < rng.random()
        packed = coco_mask.encode(np.asfortranarray(truth.astype(np.uint8)))["counts"].decode()
        flat = np.concatenate([[False], truth.T.ravel()])
        edges = np.flatnonzero(np.diff(flat))
        counts = np.diff([0, *edges, truth.size]).tolist()
        for form in (packed, counts):
            segmentation = {"size": [HEIGHT, WIDTH], "counts": form}
            found = write_coco(tmp_path / str(number), [{"segmentation": segmentation}])
            np.testing.assert_array_equal(mask_of(found), truth)


@pytest.mark.parametrize("crowd", [0, 1])
def test_the_smaller_object_is_seen_whether_it_is_a_crowd_or_not(tmp_path: Path, crowd: int) -> None:
    found = write_coco(
        tmp_path,
        [
            {"segmentation": [square(10, 8, 13, 11)], "category_id": 2},
            {"segmentation": [square(4, 4, 24, 16)], "iscrowd": 1 - crowd},
            {"segmentation": [square(10, 8, 11, 9)], "category_id": 1, "iscrowd": crowd},
            {"segmentation": [square(0, 0, 3, 3), square(26, 0, 29, 3)], "category_id": 2},
        ],
    )
    truth = ids_of((1, 4, 4, 24, 16), (2, 10, 8, 13, 11), (1, 10, 8, 11, 9), (2, 0, 0, 3, 3), (2, 26, 0, 29, 3))
    np.testing.assert_array_equal(mask_of(found), truth)


def test_only_the_chosen_categories_become_classes(tmp_path: Path) -> None:
    write_coco(
        tmp_path,
        [{"segmentation": [square(1, 1, 5, 5)]}, {"segmentation": [square(8, 8, 12, 12)], "category_id": 2}],
    )
    found = IMPORTERS["coco"](ImportRequest(tmp_path, classes={"spot": ()}))
    assert found.classes == ("spot",)
    np.testing.assert_array_equal(mask_of(found), ids_of((1, 8, 8, 12, 12)))
    with pytest.raises(ConfigError, match="--class stem is not in the data, which has leaf, spot"):
        IMPORTERS["coco"](ImportRequest(tmp_path, classes={"stem": ()}))


def test_objects_without_an_outline_are_counted_and_boxes_alone_refused(tmp_path: Path) -> None:
    found = write_coco(tmp_path, [{"segmentation": [square(1, 1, 5, 5)]}, {"segmentation": []}, {"bbox": [1, 1, 2, 2]}])
    assert "2 objects have no outline and were left out" in found.notes
    assert "categories without any object were left out: spot" in found.notes
    with pytest.raises(DataError, match="no polygons and no run lengths, maybe boxes only"):
        write_coco(tmp_path, [{"bbox": [1, 1, 2, 2]}, {"segmentation": [[1, 1, 3, 3]]}])


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        ({"size": [HEIGHT, WIDTH], "counts": [1, 3]}, "its run lengths cover 4 pixels of 600"),
        ({"size": [HEIGHT, WIDTH], "counts": [700, -100]}, "cover 600 pixels of 600"),
        ({"size": [HEIGHT, WIDTH], "counts": "zz"}, "its run lengths cover"),
        ({"size": [WIDTH, HEIGHT], "counts": [600]}, r"its size \[30, 20\] is not that of the image"),
        ({"counts": [600]}, "'size'"),
        ([square(1, 1, 5, 10**9)], r"a corner lies at 1e\+09"),
        ([[1, 1, 5, 1, float("nan"), 5]], "a corner lies at nan"),
        ([[1, 1, 5, 1, "x", 5]], "could not convert"),
    ],
)
def test_an_outline_that_is_none_is_named(tmp_path: Path, segmentation: Any, problem: str) -> None:
    found = write_coco(tmp_path, [{"segmentation": segmentation}])
    with pytest.raises(DataError, match=rf"labels\.json: annotation 0 is no outline: .*{problem}"):
        mask_of(found)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"categories": [{"id": 2, "name": "spot"}]}, "annotation 0 is of an image or a category that is not listed"),
        ({"images": []}, "annotation 0 is of an image or a category that is not listed"),
        ({"images": [{"id": 5, "file_name": "a.jpg", "height": 10**6, "width": 10**6}]}, "a size of 1000000 x 1000000"),
        ({"images": [{"id": 5, "file_name": "a.jpg"}]}, "'height' is missing"),
        ({"categories": 3}, "not iterable"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=rf"labels\.json is not sound COCO JSON .*{problem}"):
        write_coco(tmp_path, [{"segmentation": [square(1, 1, 5, 5)]}], **changes)


def test_an_image_is_found_by_its_name_but_never_outside_of_the_folder(tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "secret.jpg")
    outline = [{"segmentation": [square(1, 1, 5, 5)]}]
    for written in ("nested/a.jpg", "C:\\photos\\a.jpg", "/home/me/a.jpg"):
        found = write_coco(tmp_path / "in", outline, image=written)
        assert (found.sources[0].name, found.sources[0].image) == ("a", tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "a.jpg").unlink()
    content = json.loads((tmp_path / "in" / "labels.json").read_text())
    content["images"][0]["file_name"] = "../secret.jpg"
    (tmp_path / "in" / "labels.json").write_text(json.dumps(content))
    assert IMPORTERS["coco"](ImportRequest(tmp_path / "in")).sources[0].image is None


def test_the_split_of_a_coco_file_is_in_its_name_or_that_of_its_folder(tmp_path: Path) -> None:
    outline = [{"segmentation": [square(1, 1, 5, 5)]}]
    assert write_coco(tmp_path / "one", outline).sources[0].split is None
    assert write_coco(tmp_path / "two", outline, "valid/_annotations.coco.json").sources[0].split == "validation"
    with pytest.raises(DataError, match="each needs train, val or test in its name; rename other.json"):
        write_coco(tmp_path / "two", outline, "other.json")


def test_corners_are_fractions_of_width_and_height(tmp_path: Path) -> None:
    corners = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in ((3, 2), (15, 2), (15, 10), (3, 10)))
    found = write_yolo(tmp_path, f"1 {corners}\n\n")
    # Corners are pixels, as in Ultralytics.
    np.testing.assert_array_equal(mask_of(found), ids_of((2, 3, 2, 16, 11)))
    assert found.sources[0].split == "train"
    between = IMPORTERS["yolo"](ImportRequest(tmp_path, outline="edges"))
    np.testing.assert_array_equal(mask_of(between), ids_of((2, 3, 2, 15, 10)))
    assert (found.origin, between.origin) == (
        "imported from YOLO polygons (outlines: centres)",
        "imported from YOLO polygons (outlines: edges)",
    )


def test_fractions_of_a_pixel_are_cut_off_but_not_what_rounding_in_the_file_took(tmp_path: Path) -> None:
    for decimals in (5, 6):
        written = ((x / WIDTH, y / HEIGHT) for x, y in ((7, 2), (7, 11), (13.9, 11.6), (13.9, 2)))
        lines = "0 " + " ".join(f"{x:.{decimals}f} {y:.{decimals}f}" for x, y in written)
        np.testing.assert_array_equal(mask_of(write_yolo(tmp_path, lines)), ids_of((1, 7, 2, 14, 12)))


def test_a_corner_just_before_a_pixel_is_cut_off_where_its_decimals_say_so(tmp_path: Path) -> None:
    # Ultralytics paints 12.97 as 12; only what the last decimal may have lost is given back.
    written = " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in ((7, 2), (7, 11), (12.97, 11), (12.97, 2)))
    np.testing.assert_array_equal(mask_of(write_yolo(tmp_path, f"0 {written}")), ids_of((1, 7, 2, 13, 12)))


def test_an_image_is_found_by_its_name_as_a_url_has_it(tmp_path: Path) -> None:
    found = write_coco(tmp_path, [{"segmentation": [square(1, 1, 5, 5)]}], image="photos/my%20leaf.jpg")
    assert found.sources[0].image is None
    (tmp_path / "a.jpg").rename(tmp_path / "my leaf.jpg")
    assert IMPORTERS["coco"](ImportRequest(tmp_path)).sources[0].image == tmp_path / "my leaf.jpg"


def test_two_images_of_one_number_are_refused(tmp_path: Path) -> None:
    listed = [{"id": 5, "file_name": name, "height": HEIGHT, "width": WIDTH} for name in ("a.jpg", "b.jpg")]
    with pytest.raises(DataError, match=r"'b\.jpg' has the number 5 of 'a\.jpg'"):
        write_coco(tmp_path, [{"segmentation": [square(1, 1, 5, 5)]}], images=listed)


def test_an_image_that_is_listed_once_more_without_annotations_is_one(tmp_path: Path) -> None:
    listed = [{"id": number, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH} for number in (4, 5)]
    found = write_coco(tmp_path, [{"segmentation": [square(1, 1, 5, 5)]}], images=listed)
    assert len(found.sources) == 1
    np.testing.assert_array_equal(mask_of(found), ids_of((1, 1, 1, 5, 5)))


def test_an_image_without_a_label_file_shows_nothing_and_is_counted(tmp_path: Path) -> None:
    write_yolo(tmp_path, "0 0.1 0.1 0.5 0.1 0.5 0.5")
    (tmp_path / "labels/train/a.txt").unlink()
    found = IMPORTERS["yolo"](ImportRequest(tmp_path))
    assert found.notes == ("1 images have no label file: they count as showing no object",)
    assert not mask_of(found).any()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0.5 0.5 0.2 0.2", "is a box, not an outline"),
        ("0 0.5 0.5 0.2 0.2 0.3", "has 5 coordinates; expected x y of three corners or more"),
        ("0 5 5 20 5 20 15", "has coordinates outside 0 to 1"),
        ("0 0.1 0.1 nan 0.1 0.5 0.5", "has coordinates outside 0 to 1"),
        ("leaf 0.1 0.1 0.5 0.1 0.5 0.5", "invalid literal for int"),
        ("2 0.1 0.1 0.5 0.1 0.5 0.5", "class 2 has no name in data.yaml"),
    ],
)
def test_a_line_that_is_no_polygon_is_named_before_anything_is_copied(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(DataError, match=rf"a\.txt( line 2)?:? .*{problem}"):
        write_yolo(tmp_path, f"0 0.1 0.1 0.5 0.1 0.5 0.5\n{line}\n")


@pytest.mark.parametrize("settings", ["train: ../train/images", "train: /home/me/train", "path: ../..\ntrain: etc", ""])
def test_folders_that_data_yaml_names_wrongly_are_looked_for_within(tmp_path: Path, settings: str) -> None:
    found = write_yolo(tmp_path, "0 0.1 0.1 0.5 0.1 0.5 0.5", f"names: [leaf]\n{settings}\n")
    assert found.sources[0].image == tmp_path.resolve() / "images/train/a.png"


def test_a_painted_mask_can_be_looked_at_and_keeps_its_ids(tmp_path: Path) -> None:
    ids = np.arange(256, dtype=np.uint8).reshape(8, 32)
    write_ids(ids, tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), ids)
        colours = np.asarray(picture.convert("RGB")).reshape(256, 3)
    assert colours[0].tolist() == [0, 0, 0]
    assert len({tuple(colour) for colour in colours[:60].tolist()}) == 60
    assert len(PALETTE) == 768
