"""Label Studio: masks of a server's exports, which annotation counts, names of images, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.importers import IMPORTERS, Found, ImportRequest
from naslora_core.data.importers.drawn.readers.brush_runs import unpack_runs
from naslora_core.data.importers.drawn.readers.label_studio_file import image_name
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

SQUARE = [[10, 10], [50, 10], [50, 50], [10, 50]]
# 2 x 1 pixels, of which the second is opaque: one run of seven 0, one of a single 255.
TINY = [0, 0, 0, 8, 0b00111_001, 0b0_0011_011, 0b1_1111_1_00, 0b110_00000, 0b000_0_00_00, 0b0_1111111, 0b1_0000000]


def region(points: Any = SQUARE, label: str = "leaf", **changes: Any) -> dict[str, Any]:
    common = {"id": "r1", "original_width": WIDTH, "original_height": HEIGHT, "type": "polygonlabels"}
    return common | {"value": {"points": points, "polygonlabels": [label]}} | changes


def brush(rle: Any, **changes: Any) -> dict[str, Any]:
    return region(value={"format": "rle", "rle": rle, "brushlabels": ["leaf"]}, **changes)


def task(number: int, *annotations: Any, image: str = "/data/upload/1/89bb40bf-a.png", **changes: Any) -> Any:
    listed = [{"id": place, "result": result} | more for place, (result, more) in enumerate(annotations)]
    return {"id": number, "data": {"image": image}, "annotations": listed} | changes


def write(root: Path, content: Any, name: str = "a.png") -> Found:
    root.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / name)
    (root / "export.json").write_text(json.dumps(content))
    return find(root, "label_studio")


@pytest.mark.parametrize("folder", ["label_studio/polygons", "label_studio/brushes"])
def test_masks_are_those_of_the_export_of_a_server(folder: str, tmp_path: Path) -> None:
    found = find(lay_out(folder, tmp_path / "x", "images"), "label_studio")
    assert found.classes == ("leaf", "spot")
    assert_same(masks_of(found), tool_masks(folder))
    several = "of 1 tasks with several annotations the ground truth was taken: 22"
    assert found.notes == ((several,) if folder.endswith("polygons") else ())


def test_png_files_of_strokes_with_the_json_min_that_names_the_images(tmp_path: Path) -> None:
    root = lay_out("label_studio/brush_png", tmp_path / "x", "images")
    found = find(root, "label_studio_png")
    assert_same(masks_of(found), tool_masks("label_studio/brush_png"))
    assert found.notes == ("1 tasks are annotated without a region and show no object: 39",)
    (root / "project-min.json").unlink()
    with pytest.raises(DataError, match="which images the tasks 31, 32, 33, 34, 35, … are of; add the JSON"):
        find(root, "label_studio_png")


def test_png_files_beside_the_json_export_leave_the_choice_to_the_json(tmp_path: Path) -> None:
    root = lay_out("label_studio/brush_png", tmp_path / "x", "images")
    (root / "project-min.json").write_text(json.dumps([task(31, ([region()], {}), image="square.png")]))
    assert [source.name for source in find(root, "label_studio").sources] == ["square"]
    for file in (root / "masks").glob("task-3[2-9]*"):
        file.unlink()
    for file in (root / "masks").glob("task-40*"):
        file.unlink()
    found = IMPORTERS["label_studio_png"](ImportRequest(root))
    assert_same(masks_of(found), {"square": tool_masks("label_studio/brush_png")["square"]})


def test_a_png_file_of_another_size_is_refused(tmp_path: Path) -> None:
    root = lay_out("label_studio/brush_png", tmp_path / "x", "images")
    Image.new("L", (5, 4)).save(root / "masks" / "task-31-annotation-37-by-1-tag-leaf-0.png")
    with pytest.raises(DataError, match=r"task-31-annotation-37-by-1-tag-leaf-0\.png is no outline: it has 5 x 4 px"):
        masks_of(find(root, "label_studio_png"))


def test_the_latest_annotation_that_nobody_skipped_counts(tmp_path: Path) -> None:
    small, large = region(), region([[0, 0], [100, 0], [100, 100], [0, 100]])
    found = write(
        tmp_path,
        [
            task(
                4,
                ([small], {"updated_at": "2024-05-02T00:00:00Z"}),
                ([large], {"updated_at": "2024-05-01T00:00:00Z"}),
                ([large], {"updated_at": "2024-05-03T00:00:00Z", "was_cancelled": True}),
            ),
            task(5, ([large], {"was_cancelled": True})),
            task(6),
        ],
    )
    assert int(masks_of(found)["a"].sum()) == 16 * 13
    assert found.notes == (
        "2 tasks without an annotation, or with skipped ones only, were left out: 5, 6",
        "of 1 tasks with several annotations the latest was taken: 4; to take another, mark one as ground truth in "
        "Label Studio",
    )


def test_a_turned_view_does_not_turn_the_region(tmp_path: Path) -> None:
    plain = masks_of(write(tmp_path / "a", [task(1, ([region()], {}))]))
    assert_same(masks_of(write(tmp_path / "b", [task(1, ([region(image_rotation=90)], {}))])), plain)


def test_what_is_no_outline_or_has_no_label_is_counted(tmp_path: Path) -> None:
    results = [
        region(),
        region(id="r2", value={"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0, "rectanglelabels": ["leaf"]}),
        region(id="r3", value={"x": 1, "y": 1, "radiusX": 5, "radiusY": 5, "ellipselabels": ["leaf"]}),
        region(id="r4", value={"x": 1, "y": 1, "width": 0.3, "keypointlabels": ["leaf"]}),
        region(id="r5", value={"points": SQUARE}),
        region(id="r6", value={"points": SQUARE, "polygonlabels": ["leaf", "spot"]}),
        {"id": "r7", "type": "choices", "value": {"choices": ["good"]}},
        {"from_id": "r1", "to_id": "r2", "type": "relation", "direction": "right"},
    ]
    found = write(tmp_path, [task(1, (results, {}))])
    assert found.notes == (
        "left out: 1 ellipse, 1 keypoint, 1 rectangle, 1 region without a label: only polygons and strokes of brushes "
        "with a label are outlines of a class",
        "1 regions have several labels, of which the first counts",
    )


def test_labels_beside_a_plain_polygon_are_one_region(tmp_path: Path) -> None:
    plain = region(type="polygon", value={"points": SQUARE})
    labelled = region(type="labels", value={"points": SQUARE, "labels": ["spot"]})
    found = write(tmp_path, [task(1, ([plain, labelled], {}))])
    assert (found.classes, found.notes) == (("spot",), ())


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("/data/upload/1/89bb40bf-a.png", "a.png"),
        ("/data/upload/1/89bb40bf-a.png", "89bb40bf-a.png"),
        ("/data/local-files/?d=photos%2F2024/a%20b.png", "a b.png"),
        ("https://bucket.example.org/photos/a%20b.png?X-Amz-Expires=3", "a b.png"),
        ("s3://bucket/photos/a.png", "a.png"),
        ("a.png", "a.png"),
    ],
)
def test_an_image_is_found_under_what_label_studio_calls_it(tmp_path: Path, written: str, name: str) -> None:
    found = write(tmp_path, [task(1, ([region()], {}), image=written)], name=name)
    assert found.sources[0].image == tmp_path / name


def test_the_key_of_the_image_may_have_any_name_if_there_is_one_only() -> None:
    assert image_name({"photo": "x/a.jpg", "text": "hello"}) == "x/a.jpg"
    with pytest.raises(ValueError, match="has no single image: left, right"):
        image_name({"left": "a.jpg", "right": "b.jpg"})
    with pytest.raises(ValueError, match="has no single image: none"):
        image_name({"text": "hello"})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([{"id": 1, "annotations": [], "data": 3}], "has no attribute"),
        ([task(1, ([region()], {}), id="x")], "a task has the id 'x'"),
        ([task(1, ([region(label=5)], {}))], "polygonlabels has something that is no text"),
        ([task(1, ([region(original_width="9")], {}))], "a size is '9' x 32"),
        ([task(1, (3, {}))], "not iterable"),
        ([task(1, data={"image": "a.txt"})], "has no single image"),
    ],
)
def test_an_export_of_wrong_types_is_refused(tmp_path: Path, content: Any, problem: str) -> None:
    with pytest.raises(DataError, match=rf"export\.json is not sound Label Studio JSON .*{problem}"):
        write(tmp_path, content)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (region([[1, 1], [2, 2]]), "it has 2 corners"),
        (region([[1, 1], [2, 2], [None, 3]]), "no pairs of numbers"),
        (region([[1, 1], [2, 2], [1e9, 3]]), "a corner lies at 4e"),
        (brush([1, 2]), "its run lengths end too early"),
        (brush([1, "x"]), "its run lengths are no list of bytes"),
        (brush([300]), "its run lengths are no list of bytes"),
        (brush(TINY), f"are of 8 values of 8 bits, expected {WIDTH * HEIGHT * 4} of 8"),
    ],
)
def test_a_region_that_is_none_is_named(tmp_path: Path, result: Any, problem: str) -> None:
    found = write(tmp_path, [task(7, ([result], {}))])
    with pytest.raises(DataError, match=rf"export\.json: task 7, \w+ r1 \(leaf\) is .*{problem}"):
        masks_of(found)


def test_sizes_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="task 1 has regions drawn on images of 2 sizes"):
        write(tmp_path, [task(1, ([region(), region(id="r2", original_width=80)], {}))])
    with pytest.raises(DataError, match="was drawn on 80 x 32 px, but"):
        write(tmp_path, [task(1, ([region(original_width=80)], {}))])


def test_exports_without_outlines_broken_ones_and_images_named_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no polygons and no brush strokes with a label"):
        write(tmp_path, [task(1, ([], {}))])
    with pytest.raises(DataError, match=r"1 images are annotated more than once: .*a\.png"):
        write(tmp_path, [task(1, ([region()], {})), task(2, ([region()], {}))])
    (tmp_path / "export.json").write_text('[{"annotations": [], "data": }]')
    with pytest.raises(DataError, match=r"export\.json is not sound Label Studio JSON"):
        find(tmp_path, "label_studio")


def test_run_lengths_of_random_strokes_come_back(tmp_path: Path) -> None:
    assert unpack_runs(TINY, 8).tolist() == [0] * 7 + [255]
    rng = np.random.default_rng(3)
    for lengths in ((3, 4, 8, 16), (1, 2, 5, 16)):
        values = np.repeat(rng.integers(0, 256, 300), rng.integers(1, 40, 300)).astype(np.uint8)
        np.testing.assert_array_equal(unpack_runs(packed(values, lengths, rng), len(values)), values)


def packed(values: np.ndarray, lengths: tuple[int, ...], rng: np.random.Generator) -> list[int]:
    """Pack values as rle-pack does, with runs and single values as chance has it."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    done = 0
    while done < len(values):
        which = int(rng.integers(0, 4))
        most = int(min(2 ** lengths[which], len(values) - done))
        same = int(np.argmax(np.append(values[done : done + most] != values[done], True)))
        is_run = bool(rng.integers(0, 2))
        count = same if is_run else int(rng.integers(1, most + 1))
        bits += f"{int(is_run)}{which:02b}{count - 1:0{lengths[which]}b}"
        bits += "".join(f"{int(value):08b}" for value in values[done : done + (1 if is_run else count)])
        done += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
