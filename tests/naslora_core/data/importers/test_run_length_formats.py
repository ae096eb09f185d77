"""COCO panoptic, SA-1B and Kaggle's CSV files: masks as they were drawn, and what is not sound is named."""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.encoding import read_class_ids
from naslora_core.data.importers import IMPORTERS, Found, ImportRequest, import_dataset, recognise
from naslora_core.data.importers.painting.paint_report import paint_found
from naslora_core.errors import ConfigError, DataError

H, W = 40, 48
Drawing = list[tuple[int, np.ndarray]]


def drawn(paint: Callable[[np.ndarray], object]) -> np.ndarray:
    canvas = np.zeros((H, W), np.uint8)
    paint(canvas)
    return canvas > 0


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    return drawn(lambda canvas: cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), 1, -1))


def disc(x: int, y: int, radius: int) -> np.ndarray:
    return drawn(lambda canvas: cv2.circle(canvas, (x, y), radius, 1, -1))


# Classes and pixels of objects by the name of an image; later ones, which are smaller, lie on top.
DRAWINGS: dict[str, Drawing] = {
    "square": [(1, box(5, 6, 16, 17))],
    "disc": [(1, disc(20, 20, 9))],
    "hole": [(1, disc(20, 20, 15) & ~disc(22, 18, 5))],
    "parts": [(1, box(2, 2, 9, 9) | disc(34, 28, 6))],
    "line": [(1, drawn(lambda canvas: cv2.line(canvas, (2, 5), (43, 30), 1, 1)))],
    "touching": [(1, box(4, 5, 14, 25)), (1, box(14, 5, 24, 25))],
    "overlapping": [(1, box(5, 5, 35, 35)), (1, disc(32, 20, 6))],
    "border": [(1, box(0, 0, 10, H)), (1, box(40, 32, W, H))],
    "empty": [],
    "classes": [(1, box(4, 4, 36, 36)), (2, disc(20, 18, 8))],
}


def ids_of(drawing: Drawing, classes: bool = True) -> np.ndarray:
    ids = np.zeros((H, W), np.uint8)
    for class_id, inside in drawing:
        ids[inside] = class_id if classes else 1
    return ids


def write_images(folder: Path, suffix: str = ".jpg", names: Iterable[str] = DRAWINGS) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        grey = np.random.default_rng(number).integers(0, 255, (H // 4, W // 4), np.uint8)
        Image.fromarray(np.kron(grey, np.ones((4, 4), np.uint8))).convert("RGB").save(folder / f"{name}{suffix}")


def write_panoptic(root: Path, drawings: dict[str, Drawing] = DRAWINGS) -> None:
    """Write segments of which the later ones hide the earlier; numbers need all three channels."""
    write_images(root / "images", names=drawings)
    (root / "panoptic").mkdir()
    annotations = []
    for image, (name, drawing) in enumerate(drawings.items()):
        numbers = np.zeros((H, W), np.int64)
        for place, (_, inside) in enumerate(drawing):
            numbers[inside] = 70_000 * (place + 1) + 300 + image
        colours = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=-1).astype(np.uint8)
        Image.fromarray(colours).save(root / "panoptic" / f"{name}.png")
        segments = [
            {"id": 70_000 * (place + 1) + 300 + image, "category_id": class_id, "area": int(inside.sum())}
            for place, (class_id, inside) in enumerate(drawing)
        ]
        annotations.append({"image_id": image, "file_name": f"{name}.png", "segments_info": segments})
    content = {
        "images": [{"id": n, "file_name": f"{name}.jpg", "height": H, "width": W} for n, name in enumerate(drawings)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "leaf", "isthing": 1}, {"id": 2, "name": "spot", "isthing": 0}],
    }
    (root / "panoptic.json").write_text(json.dumps(content))


def write_sa1b(root: Path, compressed: bool) -> None:
    write_images(root)
    for number, (name, drawing) in enumerate(DRAWINGS.items()):
        annotations = []
        for place, (_, inside) in enumerate(drawing):
            packed = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))["counts"].decode()
            edges = np.flatnonzero(np.diff(inside.T.ravel(), prepend=False))
            counts = packed if compressed else np.diff([0, *edges, H * W]).tolist()
            annotations.append(
                {"id": place, "segmentation": {"size": [H, W], "counts": counts}, "area": int(inside.sum())}
            )
        image = {"image_id": number, "file_name": f"{name}.jpg", "height": H, "width": W}
        (root / f"{name}.json").write_text(json.dumps({"image": image, "annotations": annotations}))


def encoded(inside: np.ndarray) -> str:
    """Return starts, from 1 on, and lengths of runs down the columns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside.T.ravel(), [False]])))
    return " ".join(f"{start + 1} {end - start}" for start, end in edges.reshape(-1, 2))


def write_csv(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])


def check_masks(found: Found, classes: bool) -> None:
    assert {source.name for source in found.sources} == set(DRAWINGS)
    for source in found.sources:
        assert callable(source.mask)
        np.testing.assert_array_equal(source.mask(), ids_of(DRAWINGS[source.name], classes), err_msg=source.name)
        assert isinstance(source.image, Path)
        assert source.image.stem == source.name


def test_panoptic_segments_are_pixel_for_pixel_those_of_the_png(tmp_path: Path) -> None:
    write_panoptic(tmp_path / "in")
    assert recognise(tmp_path / "in").name == "coco_panoptic"
    found = IMPORTERS["coco_panoptic"](ImportRequest(tmp_path / "in", void="background"))
    assert (found.classes, found.mask_ignore) == (("leaf", "spot"), None)
    check_masks(found, classes=True)
    # Where objects overlap, the file states more than its PNG can hold.
    assert paint_found(found).lines() == (
        "1 of 13 objects differ from the area that their file states by more than 10 % and 4 px: classes segment 70309 "
        "(827 px, stated 1024)",
    )


def test_many_panoptic_pixels_without_a_segment_are_a_choice(tmp_path: Path) -> None:
    write_panoptic(tmp_path / "in")
    with pytest.raises(ConfigError, match=r"7\d % of the pixels are of no segment: --void background .*--void ignore"):
        IMPORTERS["coco_panoptic"](ImportRequest(tmp_path / "in"))
    request = ImportRequest(tmp_path / "in", void="ignore")
    found = IMPORTERS["coco_panoptic"](request)
    import_dataset(found, request, tmp_path / "data" / "discs")
    dataset = read_dataset(tmp_path / "data" / "discs")
    assert dataset.card.mask_ignore == (255,)
    for pair in dataset.pairs:
        truth = ids_of(DRAWINGS[pair.name])
        assert pair.mask is not None
        np.testing.assert_array_equal(read_class_ids(pair.mask, dataset.card), np.where(truth > 0, truth, 255))


def test_few_panoptic_pixels_without_a_segment_are_not_labelled(tmp_path: Path) -> None:
    drawing: dict[str, Drawing] = {"square": [(1, box(0, 0, 30, H)), (2, box(30, 0, W - 2, H))]}
    write_panoptic(tmp_path / "in", drawing)
    found = IMPORTERS["coco_panoptic"](ImportRequest(tmp_path / "in"))
    assert found.notes == ("pixels of no segment count as not labelled (--void background: as showing no object)",)
    assert callable(found.sources[0].mask)
    assert np.bincount(found.sources[0].mask().ravel())[[0, 1, 2, 255]].tolist() == [0, 30 * H, 16 * H, 2 * H]


def test_a_panoptic_image_without_a_png_shows_nothing_if_void_is_background(tmp_path: Path) -> None:
    write_panoptic(tmp_path / "in")
    content = json.loads((tmp_path / "in" / "panoptic.json").read_text())
    content["annotations"] = [entry for entry in content["annotations"] if entry["file_name"] != "empty.png"]
    (tmp_path / "in" / "panoptic.json").write_text(json.dumps(content))
    check_masks(IMPORTERS["coco_panoptic"](ImportRequest(tmp_path / "in", void="background")), classes=True)
    ignoring = IMPORTERS["coco_panoptic"](ImportRequest(tmp_path / "in", void="ignore"))
    assert [source.name for source in ignoring.sources if source.mask is None] == ["empty"]


def _broken_panoptic(root: Path, how: str) -> None:
    content = json.loads((root / "panoptic.json").read_text())
    first = content["annotations"][0]
    if how == "unlisted":
        first["segments_info"] = []
    elif how == "missing":
        first["file_name"] = "../../other.png"
    elif how == "category":
        first["segments_info"][0]["category_id"] = 9
    elif how == "number":
        first["segments_info"][0]["id"] = 2**24
    elif how == "size":
        content["images"][0] |= {"height": 7}
    elif how == "grey":
        Image.new("L", (W, H)).save(root / "panoptic" / "square.png")
    (root / "panoptic.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("unlisted", "square.png holds 1 segments that the JSON file does not list: 70300"),
        ("missing", "'../../other.png' is not in .*panoptic nor beside the file"),
        ("category", "a segment of 'square.png' is of a category that is not listed"),
        ("number", "a segment of 'square.png' has no number from 1 to 16777215"),
        ("size", "panoptic.json was drawn on 48 x 7 px, but .*square.jpg has 48 x 40"),
        ("grey", "square.png has the mode L; expected the colours of numbers"),
    ],
)
def test_panoptic_files_that_contradict_themselves_are_refused(tmp_path: Path, how: str, problem: str) -> None:
    write_panoptic(tmp_path / "in")
    _broken_panoptic(tmp_path / "in", how)
    with pytest.raises(DataError, match=problem):
        paint_found(IMPORTERS["coco_panoptic"](ImportRequest(tmp_path / "in", void="background")))


@pytest.mark.parametrize("compressed", [True, False])
def test_sa1b_masks_are_painted_from_both_kinds_of_run_lengths(tmp_path: Path, compressed: bool) -> None:
    write_sa1b(tmp_path / "in", compressed)
    assert recognise(tmp_path / "in").name == "sa1b"
    found = IMPORTERS["sa1b"](ImportRequest(tmp_path / "in", classes={"thing": ()}))
    assert found.classes == ("thing",)
    assert found.notes == ("1 images have no mask in their JSON file: they count as showing no object",)
    check_masks(found, classes=False)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "JSON"),
        ('{"image": {"file_name": "square.jpg", "height": 4, "width": 0}, "annotations": []}', "a size of 0 x 4"),
        ('{"image": {"file_name": "square.jpg", "height": 4}, "annotations": []}', "'width' is missing"),
        ('{"image": {"file_name": "", "height": 4, "width": 4}, "annotations": []}', "a name is ''"),
        (
            '{"image": {"file_name": "a.jpg", "height": 4, "width": 4}, "annotations": [{}]}',
            "annotation 1 has no run lengths",
        ),
    ],
)
def test_a_file_that_is_no_sa1b_is_named(tmp_path: Path, content: str, problem: str) -> None:
    write_sa1b(tmp_path / "in", True)
    (tmp_path / "in" / "square.json").write_text(content)
    with pytest.raises(DataError, match=rf"square\.json .*{problem}"):
        IMPORTERS["sa1b"](ImportRequest(tmp_path / "in"))


KINDS: dict[str, tuple[list[str], Callable[[str, int, str], list[str]]]] = {
    "bowl": (["ImageId", "EncodedPixels"], lambda name, _, runs: [name, runs]),
    "severstal": (["ImageId", "ClassId", "EncodedPixels"], lambda name, label, runs: [f"{name}.png", str(label), runs]),
    "joined": (["ImageId_ClassId", "EncodedPixels"], lambda name, label, runs: [f"{name}.png_{label}", runs]),
    "carvana": (["img", " rle_mask"], lambda name, _, runs: [f"{name}.png", runs]),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_kaggle_runs_are_numbered_from_one_on_down_the_columns(tmp_path: Path, kind: str) -> None:
    root, (columns, row) = tmp_path / "in", KINDS[kind]
    write_images(root / "stage1" / "images", ".png")
    rows = [
        row(name, class_id, encoded(inside))
        for name, drawing in DRAWINGS.items()
        for class_id, inside in drawing or [(1, np.zeros((H, W), dtype=bool))]
    ]
    write_csv(root / "train.csv", columns, rows)
    write_csv(root / "sample_submission.csv", columns, [row("square", 1, "1 1")])
    assert recognise(root).name == "kaggle_rle"
    found = IMPORTERS["kaggle_rle"](ImportRequest(root))
    by_class = kind in ("severstal", "joined")
    assert found.classes == (("class_1", "class_2") if by_class else ("object",))
    check_masks(found, by_class)
    assert {source.split for source in found.sources} == {"train"}
    assert found.notes == ()


def test_kaggle_images_without_a_row_are_counted_and_classes_can_be_chosen(tmp_path: Path) -> None:
    write_images(tmp_path / "in", ".png")
    rows = [
        ["square", "7", encoded(box(1, 1, 5, 5))],
        ["square", "fish", encoded(box(2, 2, 4, 4))],
        ["disc", "7", "-1"],
    ]
    write_csv(tmp_path / "in" / "labels.csv", ["ImageId", "Label", "EncodedPixels"], rows)
    found = IMPORTERS["kaggle_rle"](ImportRequest(tmp_path / "in", classes={"fish": ()}))
    assert found.classes == ("fish",)
    assert found.notes[0].startswith("8 images beside those have no row in the file and were left out")
    assert paint_found(found).objects == 1


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        ("1 2 3", "it has 3 numbers; expected a start and a length of each run"),
        ("0 4", "a run begins before pixel 1, or has no length"),
        ("5 0", "a run begins before pixel 1, or has no length"),
        ("1919 3", "a run ends at pixel 1921 of 1920"),
        ("1 5 3 2", "runs overlap"),
        ("9" * 30 + " 1", "too large|too big"),
        ("1 x", "invalid literal"),
    ],
)
def test_kaggle_runs_that_are_none_are_named(tmp_path: Path, runs: str, problem: str) -> None:
    write_images(tmp_path / "in", ".png")
    write_csv(tmp_path / "in" / "train.csv", ["ImageId", "EncodedPixels"], [["disc", ""], ["square", runs]])
    found = IMPORTERS["kaggle_rle"](ImportRequest(tmp_path / "in"))
    with pytest.raises(DataError, match=rf"train\.csv: line 3 is no outline: .*({problem})"):
        paint_found(found)


def test_kaggle_images_that_are_missing_or_twice_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "in" / "a", ".png")
    write_csv(tmp_path / "in" / "train.csv", ["ImageId", "EncodedPixels"], [["square", "1 1"], ["nowhere", "1 1"]])
    with pytest.raises(DataError, match="image 'nowhere' is not in the folder"):
        IMPORTERS["kaggle_rle"](ImportRequest(tmp_path / "in"))
    write_images(tmp_path / "in" / "b", ".png")
    with pytest.raises(DataError, match=r"image 'square' could be .*a/square.png or .*b/square.png"):
        IMPORTERS["kaggle_rle"](ImportRequest(tmp_path / "in"))
    write_csv(tmp_path / "in" / "train.csv", ["ImageId", "EncodedPixels"], [["a/square", "1 1"]])
    assert IMPORTERS["kaggle_rle"](ImportRequest(tmp_path / "in")).sources[0].image == tmp_path / "in/a/square.png"


def test_long_runs_are_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    truth = np.indices((400, 300)).sum(axis=0) % 2 == 0
    Image.new("RGB", (300, 400)).save(tmp_path / "in" / "a.png")
    write_csv(tmp_path / "in" / "train.csv", ["ImageId", "EncodedPixels"], [["a", encoded(truth)]])
    mask = IMPORTERS["kaggle_rle"](ImportRequest(tmp_path / "in")).sources[0].mask
    assert callable(mask)
    np.testing.assert_array_equal(mask(), truth)
