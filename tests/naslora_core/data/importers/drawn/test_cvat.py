"""CVAT: its XML painted as CVAT paints, its masks decoded by labelmap.txt, and what is refused or counted."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

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

SQUARE = '<polygon label="leaf" points="2.00,2.00;9.00,2.00;9.00,9.00;2.00,9.00" z_order="0"/>'


def write(root: Path, shapes: str, name: str = "a.png", before: str = "") -> Found:
    (root / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / "a.png")
    labels = "".join(f"<label><name>{label}</name></label>" for label in ("spot", "leaf", "unused"))
    (root / "annotations.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n{before}<annotations><meta><job><labels>{labels}</labels></job>'
        "</meta>"
        f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}">{shapes}</image></annotations>'
    )
    return find(root, "cvat")


@pytest.mark.parametrize("folder", ["cvat/polygons", "cvat/masks"])
def test_masks_are_those_that_datumaro_makes_of_cvat(folder: str, tmp_path: Path) -> None:
    found = find(lay_out(folder, tmp_path / "x", "images"), "cvat")
    assert found.classes == ("leaf", "spot")
    assert found.notes == ("1 images have no shape and count as showing no object: empty.png",)
    assert_same(masks_of(found), tool_masks(folder))


def test_a_mask_of_its_own_box_and_an_ellipse(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        '<mask label="leaf" rle="1, 2, 3, 3" left="5" top="6" width="3" height="3" z_order="0"/>'
        '<ellipse label="spot" cx="25.4" cy="16.6" rx="9.5" ry="4.2" rotation="30.00" z_order="1"/>',
    )
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[6, 6:8] = expected[8, 5:8] = 2
    cv2.ellipse(expected, (25, 17), (10, 4), 30.0, 0, 360, 1, thickness=-1)
    assert_same(masks_of(found), {"a": expected})
    assert found.classes == ("spot", "leaf")
    assert found.notes == ("labels without any outline were left out: unused",)


def test_the_higher_shape_is_seen_and_background_takes_pixels_away(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        SQUARE.replace('z_order="0"', 'z_order="1"')
        + '<polygon label="spot" points="4,4;20,4;20,20;4,20" z_order="0"/>'
        + '<polygon label="background" points="6,6;30,6;30,30;6,30" z_order="2"/>',
    )
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[4:20, 4:20] = 1
    expected[2:9, 2:9] = 2
    expected[6:30, 6:30] = 0
    assert_same(masks_of(found), {"a": expected})


def test_what_is_no_outline_is_counted_and_boxes_alone_are_refused(tmp_path: Path) -> None:
    box = '<box label="spot" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    skeleton = '<skeleton label="spot"><points label="knee" points="1,1"/></skeleton>'
    found = write(tmp_path, SQUARE + box + box + skeleton + '<polyline label="spot" points="1,1;4,4"/>')
    assert found.notes[0] == "left out: 2 box, 1 polyline, 1 skeleton: they are no outlines"
    assert found.classes == ("leaf",)
    with pytest.raises(DataError, match="has no polygons and no masks, maybe boxes only"):
        write(tmp_path, box)


def test_outlines_can_be_read_as_running_through_pixels(tmp_path: Path) -> None:
    write(tmp_path, SQUARE)
    sizes = [int(masks_of(find(tmp_path, "cvat", outline=kind))["a"].sum()) for kind in ("edges", "centres")]
    assert sizes == [49, 64]


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE a [<!ENTITY x "leaf">]>',
        '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd">',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_a_document_type_is_refused_before_anything_is_expanded(tmp_path: Path, declared: str) -> None:
    with pytest.raises(DataError, match=r"annotations\.xml is not sound XML .* declares a document type"):
        write(tmp_path, SQUARE, before=declared)


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ("<polygon", "it is not XML"),
        ("<polygon/>", "'label' is missing"),
        ('<polygon label="leaf" z_order="x"/>', "invalid literal for int"),
        ('</image><image name="b.png" width="0" height="9">', "a size is 0 x 9"),
        ('</image><image name="b.png" width="a" height="9">', "invalid literal for int"),
        ('</image><image width="4" height="9">', "'name' is missing"),
        ('</image><track id="0"/><image name="b.png" width="4" height="9">', "it is of a video"),
    ],
)
def test_a_file_that_is_not_as_expected_is_refused(tmp_path: Path, shapes: str, problem: str) -> None:
    with pytest.raises(DataError, match=rf"annotations\.xml is not sound XML of CVAT for images 1\.1.*: .*{problem}"):
        write(tmp_path, shapes)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ('<polygon label="leaf" points="1,1;4,4"/>', "it has 2 corners, expected a list of 3"),
        ('<polygon label="leaf" points="1,1;4,4;a,9"/>', "could not convert"),
        ('<polygon label="leaf" points="1,1;4,4;9"/>', "no pairs of numbers"),
        ('<polygon label="leaf"/>', "'points' is missing"),
        ('<polygon label="leaf" points="1,1;4,4;9,1e9"/>', r"a corner lies at 1e\+09"),
        ('<polygon label="leaf" points="1,1;4,4;9,nan"/>', "a corner lies at nan"),
        ('<mask label="leaf" rle="4, 5" left="1" top="1" width="2" height="2"/>', "cover 9 pixels of 2 x 2"),
        ('<mask label="leaf" rle="8, -4" left="1" top="1" width="2" height="2"/>', "cover 4 pixels of 2 x 2"),
        ('<mask label="leaf" rle="1" left="1" top="1" width="99999" height="99999"/>', "a size is 99999 x 99999"),
        ('<ellipse label="leaf" cx="1" cy="1" rx="-2" ry="3"/>', "its half axes are"),
        ('<ellipse label="leaf" cx="1" cy="1" rx="1e9" ry="3"/>', r"a corner lies at 1e\+09"),
    ],
)
def test_a_shape_that_is_none_is_named(tmp_path: Path, shape: str, problem: str) -> None:
    found = write(tmp_path, shape)
    with pytest.raises(DataError, match=rf"annotations\.xml: image 'a\.png', \w+ 1 \(leaf\) is .*{problem}"):
        masks_of(found)


def test_missing_images_are_named_by_their_pair_and_sizes_compared(tmp_path: Path) -> None:
    assert write(tmp_path, SQUARE, name="sub/b.png").sources[0].image is None
    (tmp_path / "images" / "a.png").unlink()
    Image.new("RGB", (WIDTH, HEIGHT * 2)).save(tmp_path / "images" / "b.png")
    with pytest.raises(DataError, match=r"was drawn on 40 x 32 px, but .*b\.png has 40 x 64"):
        find(tmp_path, "cvat")


@pytest.mark.parametrize("folder", ["cvat_masks/coloured", "cvat_masks/plain"])
def test_colours_of_masks_mean_what_labelmap_says(folder: str, tmp_path: Path) -> None:
    root = lay_out(folder, tmp_path / "x", "JPEGImages")
    found = find(root, "cvat_masks")
    assert found.classes == ("leaf", "spot")
    assert found.notes == ("1 listed images have no mask file and count as showing no object: empty",)
    assert {source.name: source.split for source in found.sources}["disc"] == "validation"
    assert_same(masks_of(found), tool_masks(folder))
    dataset = import_dataset(found, ImportRequest(root), tmp_path / "data" / "leaves")
    assert len(dataset.pairs) == 10


def test_labels_that_are_not_chosen_are_background(tmp_path: Path) -> None:
    found = find(lay_out("cvat_masks/coloured", tmp_path / "x", "JPEGImages"), "cvat_masks", classes={"spot": ()})
    expected = {name: (mask == 2) * 1 for name, mask in tool_masks("cvat_masks/coloured").items()}
    assert_same(masks_of(found), expected)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("leaf:1,2,3", "line 1: 'leaf:1,2,3' is no line of a label map"),
        ("leaf:1,2,300::", "'1,2,300' is no colour"),
        ("leaf:0,0,0::", "'leaf' is black, as the background"),
        ("leaf:1,2,3::\nspot:1,2,3::", "the label 'spot' or its colour #010203 is there twice"),
        ("leaf:1,2,3::\nleaf:1,2,4::", "the label 'leaf' or its colour #010204 is there twice"),
        ("leaf:1,2,3::\nspot:::", "'spot' has no colour, but others have"),
        ("# nothing", "lists no label"),
    ],
)
def test_a_labelmap_that_does_not_tell_classes_apart_is_refused(tmp_path: Path, lines: str, problem: str) -> None:
    root = lay_out("cvat_masks/coloured", tmp_path / "x", "JPEGImages")
    (root / "labelmap.txt").write_text(lines)
    with pytest.raises(DataError, match=problem):
        find(root, "cvat_masks")


def test_the_border_of_voc_is_not_labelled(tmp_path: Path) -> None:
    root = lay_out("cvat_masks/coloured", tmp_path / "x", "JPEGImages")
    (root / "labelmap.txt").write_text("background:0,0,0::\nleaf:51,221,255::\nignored:48,112,32::\n")
    found = find(root, "cvat_masks")
    assert found.classes == ("leaf",)
    tool = tool_masks("cvat_masks/coloured")
    assert_same(masks_of(found), {name: np.where(mask == 2, 255, mask) for name, mask in tool.items()})


def test_files_in_no_list_and_images_that_are_missing_are_told(tmp_path: Path) -> None:
    root = lay_out("cvat_masks/coloured", tmp_path / "x", "JPEGImages")
    (root / "ImageSets/Segmentation/val.txt").write_text("disc\n")
    (root / "JPEGImages/disc.png").unlink()
    found = find(root, "cvat_masks")
    assert {source.name: source.image for source in found.sources}["disc"] is None
    assert found.notes[1] == "4 files are in no list and were left out: border, touching, two_classes, two_parts"
