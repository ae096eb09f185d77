"""Objects are layered into masks, and what the painting loses, hides or changes is counted."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from naslora_core.data.importers import IMPORTERS, Found, ImportRequest, import_dataset
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask, Order, Painting
from naslora_core.data.importers.painting.outline_choice import choose_outline
from naslora_core.data.importers.painting.paint_report import PaintReport, paint_found
from naslora_core.data.importers.painting.shapes import Bitmap
from tests.naslora_core.data.importers.test_object_formats import mask_of, square, write_coco


def paint(*objects: tuple[int, int, int, int, int], order: Order = "listed", **stated: float) -> Painting:
    listed = [
        AnnotatedObject(f"o{number}", class_id, Bitmap(np.ones((h, w)), top, left), stated.get(f"o{number}"))
        for number, (class_id, top, left, h, w) in enumerate(objects)
    ]
    return ObjectMask(Path("a.json"), (6, 8), lambda: listed, order).paint()


def test_the_later_or_the_smaller_object_is_seen() -> None:
    small, large = (1, 2, 2, 2, 2), (2, 1, 1, 4, 4)
    assert (paint(small, large).ids == 1).sum() == 0
    painting = paint(small, large, order="smaller_on_top")
    assert [(painting.ids == number).sum() for number in (0, 1, 2)] == [48 - 16, 4, 12]
    assert (painting.objects, painting.hidden_px) == (2, 4)


def test_background_takes_pixels_away_and_255_leaves_them_out() -> None:
    painting = paint((1, 0, 0, 4, 4), (0, 1, 1, 2, 2), (255, 0, 0, 1, 1))
    assert painting.ids[:3, :3].tolist() == [[255, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert painting.hidden_px == 5


def test_what_is_lost_hidden_or_otherwise_than_stated_is_named() -> None:
    painting = paint((1, 0, 0, 6, 4), (1, 2, 2, 2, 2), (2, 9, 9, 2, 2), (1, 0, 6, 2, 2), o0=24.4, o1=9, o3=8)
    assert painting.vanished == ("o2",)
    assert painting.covered == ("o1",)
    assert painting.differing == (("o1", 4, 9),)
    assert painting.hidden_px == 0


@pytest.mark.parametrize(("stated", "differs"), [(20, False), (25, True), (11, True), (16, False), (17.5, False)])
def test_a_difference_counts_beyond_ten_percent_and_four_pixels(stated: float, differs: bool) -> None:
    assert bool(paint((1, 0, 0, 4, 4), o0=stated).differing) == differs


def test_a_report_is_bounded_and_adds_up_over_images() -> None:
    report = PaintReport()
    assert report.lines() == ()
    for number in range(9):
        report.add(f"i{number}", paint((1, 0, 0, 4, 4), (2, 1, 1, 2, 2), (1, 9, 9, 1, 1), (2, 1, 1, 1, 1), o0=99))
    assert report.lines() == (
        "9 of 36 objects have no pixel: i0 o2, i1 o2, i2 o2, i3 o2, i4 o2, …",
        "9 of 36 objects differ from the area that their file states by more than 10 % and 4 px: i0 o0 (16 px, "
        "stated 99), i1 o0 (16 px, stated 99), i2 o0 (16 px, stated 99), i3 o0 (16 px, stated 99), i4 o0 (16 px, "
        "stated 99), …",
        "9 of 36 objects lie wholly within others of their class and change nothing (some tools write holes so, which "
        "are filled here): i0 o3, i1 o3, i2 o3, i3 o3, i4 o3, …",
        "36 px of objects are hidden by objects of other classes",
    )


def contours(masks: list[np.ndarray], area: str) -> list[dict[str, Any]]:
    annotations = []
    for number, mask in enumerate(masks):
        rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        by_corners = sum(cv2.contourArea(ring) for ring in rings)
        stated = {"pixels": {"area": int(mask.sum())}, "corners": {"area": by_corners}, "none": {}}[area]
        annotations.append({"id": number, "category_id": 1, "segmentation": [ring.ravel().tolist() for ring in rings]})
        annotations[-1] |= stated
    return annotations


def drawn() -> list[np.ndarray]:
    masks = [np.zeros((20, 30), np.uint8) for _ in range(5)]
    masks[0][3:14, 5:16] = 1
    cv2.circle(masks[1], (15, 10), 6, 1, -1)
    masks[2][4, 2:28] = 1
    masks[3][2:6, 2:6] = masks[3][10:18, 20:29] = 1
    cv2.line(masks[4], (2, 18), (27, 3), 1, 2)
    return masks


def test_areas_show_that_corners_are_pixels(tmp_path: Path) -> None:
    masks = drawn()
    found = write_coco(tmp_path, contours(masks, "pixels"))
    np.testing.assert_array_equal(mask_of(found), np.maximum.reduce(masks))
    assert "the areas that the file states for 5 objects show that the corners of outlines are pixels" in found.notes[0]
    assert paint_found(found).lines() == ()
    assert found.origin == "imported from COCO (outlines: centres)"


@pytest.mark.parametrize("area", ["corners", "none"])
def test_where_no_area_tells_the_choice_is_named(tmp_path: Path, area: str) -> None:
    masks = drawn()
    found = write_coco(tmp_path, contours(masks, area))
    assert found.origin == "imported from COCO (outlines: edges)"
    assert "import again with --outline centres" in found.notes[0]
    assert paint_found(found).vanished == 1
    chosen = IMPORTERS["coco"](ImportRequest(tmp_path, outline="centres"))
    np.testing.assert_array_equal(mask_of(chosen), np.maximum.reduce(masks))


def test_areas_of_coco_itself_keep_the_outlines_between_pixels() -> None:
    rng = np.random.default_rng(2)
    annotations = []
    for _ in range(40):
        turns = np.sort(rng.uniform(0, 2 * np.pi, 12))
        ring = np.round(50 + rng.uniform(8, 40) * np.c_[np.cos(turns), np.sin(turns)], 2)
        annotations.append({"segmentation": [ring.ravel().tolist()], "area": cv2.contourArea(ring.astype(np.float32))})
    assert choose_outline(annotations, None).outline == "edges"
    assert choose_outline(annotations, None).note == ""
    whole = [{"segmentation": [square(4, 4, 9 + n, 12)], "area": (5 + n) * 8 + 0.4} for n in range(5)]
    assert choose_outline(whole, None) == choose_outline(whole, "edges")
    runs = [{"segmentation": {"size": [2, 2], "counts": [4]}, "area": 9}]
    assert choose_outline(runs, None).note == ""


def test_polygons_too_short_to_have_pixels_are_counted(tmp_path: Path) -> None:
    polygons = [square(1, 1, 5, 5), [9, 9], [9, 9, 12, 9]]
    found = write_coco(tmp_path, [{"segmentation": polygons, "area": 16.2}, {"segmentation": [[3, 3]]}])
    assert "3 of 4 polygons have fewer than three corners, and thus no pixel" in found.notes
    assert paint_found(found).vanished == 1
    np.testing.assert_array_equal(mask_of(found)[1:5, 1:5], 1)
    flat = write_coco(tmp_path / "flat", [{"segmentation": square(1, 1, 5, 5)}])
    np.testing.assert_array_equal(mask_of(flat), mask_of(found))


def test_an_import_and_a_look_at_it_count_the_same(tmp_path: Path) -> None:
    objects = [{"segmentation": [square(1, 1, 1, 5)]}, {"segmentation": [square(2, 2, 9, 9)], "area": 10}]
    found: Found = write_coco(tmp_path / "in", objects)
    content = json.loads((tmp_path / "in" / "labels.json").read_text())
    for number in (6, 7, 8):
        (tmp_path / "in" / f"{number}.jpg").write_bytes((tmp_path / "in" / "a.jpg").read_bytes())
        content["images"].append(content["images"][0] | {"id": number, "file_name": f"{number}.jpg"})
    (tmp_path / "in" / "labels.json").write_text(json.dumps(content))
    request = ImportRequest(tmp_path / "in")
    found, report = IMPORTERS["coco"](request), PaintReport()
    import_dataset(found, request, tmp_path / "data" / "discs", report=report)
    assert report == paint_found(found)
    assert (report.objects, report.vanished, report.differing) == (2, 1, 1)
