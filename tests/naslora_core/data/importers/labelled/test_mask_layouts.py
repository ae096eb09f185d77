"""VOC, Cityscapes, Roboflow and nnU-Net: masks are read by their stored values, with the names their layout gives."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.importers.legends.known import cityscapes_ids, voc_colour
from naslora_core.errors import ConfigError, DataError
from tests.naslora_core.data.importers.labelled.cases import KINDS, REAL, auto, drawn, masks_of, write_image, write_mask

PALETTE = b"".join(voc_colour(index).to_bytes(3, "big") for index in range(256))
CAT, DOG = 8, 12
VALUES = np.zeros(256, np.uint8)
VALUES[[1, 2, 255]] = CAT, DOG, 255


def with_border(kind: str) -> np.ndarray:
    ids = drawn(kind)
    ids[38:, :5] = IGNORED_ID
    return ids


def write_voc(root: Path, palette: bytes | None = PALETTE, lists: bool = True) -> Path:
    for kind in KINDS:
        write_image(root / "JPEGImages" / f"{kind}.jpg")
        write_mask(root / "SegmentationClass" / f"{kind}.png", VALUES[with_border(kind)], palette)
    write_image(root / "JPEGImages" / "detection_only.jpg")
    write_image(root / "JPEGImages" / "unpublished.jpg")
    if lists:
        parts = {"train": KINDS[:6], "val": KINDS[6:], "trainval": KINDS, "test": ("unpublished",)}
        (root / "ImageSets" / "Segmentation").mkdir(parents=True)
        for part, names in parts.items():
            (root / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("\n".join(names) + "\n")
    return root


def test_voc_is_read_by_palette_index(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "VOCdevkit" / "VOC2012")
    found = auto(tmp_path, "voc")
    card, masks = masks_of(found, root, tmp_path / "voc")
    assert (card.classes, card.mask_ignore) == (("cat", "dog"), (255,))
    assert {source.name: source.split for source in found.sources} == dict.fromkeys(KINDS[:6], "train") | dict.fromkeys(
        KINDS[6:], "validation"
    )
    assert "2 images have no mask, or are on no list, and were left out" in found.notes
    for kind in KINDS:
        np.testing.assert_array_equal(masks[kind], with_border(kind), err_msg=kind)


def test_voc_in_colours_is_the_same(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "in")
    for kind in KINDS:
        colours = np.frombuffer(PALETTE, np.uint8).reshape(256, 3)[VALUES[with_border(kind)]]
        write_mask(root / "SegmentationClass" / f"{kind}.png", colours)
    card, masks = masks_of(auto(root, "voc"), root, tmp_path / "voc")
    assert (card.reading, card.mask_ignore) == ("colours", ("#e0e0c0",))
    for kind in KINDS:
        np.testing.assert_array_equal(masks[kind], with_border(kind), err_msg=kind)


def test_names_of_labelmes_converter_come_before_those_of_voc(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "in", lists=False)
    names = ["__ignore__", "_background_", *(f"kind {number}" for number in range(1, 14))]
    (root / "class_names.txt").write_text("\n".join(names))
    found = auto(root, "voc")
    assert found.classes == ("kind 8", "kind 12")
    assert found.notes[-1].startswith("classes without any pixel were left out: kind 1, kind 2, kind 3, kind 4, ")
    assert masks_of(found, root, tmp_path / "voc")[1]["touching"].max() == IGNORED_ID


def test_the_palette_alone_names_no_class(tmp_path: Path) -> None:
    root = write_voc(tmp_path, palette=None)
    with pytest.raises(DataError, match=r"several readings fit .*--class a=8 --class b=12 --class c=255"):
        auto(root, "voc")
    found = auto(root, "voc", classes={"x": (CAT,), "y": (DOG,)})
    assert (found.classes, found.mask_ignore) == (("x", "y"), (255,))


def test_a_label_map_makes_it_cvats_layout(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n")
    with pytest.raises(AssertionError):
        auto(root, "voc")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("ImageSets/Segmentation/val.txt", "square\ndisc\n", "'square' is on another list"),
        ("ImageSets/Segmentation/train.txt", "nowhere\n", "lists 'nowhere', which is neither in JPEGImages nor"),
        ("class_names.txt", "a\na\n", "has 2 names of classes; expected up to 254, each once"),
        (
            "class_names.txt",
            "a\nb\n",
            r"not name some values .* 2 values occur: 8 \(.* 9 images, .*, 12 \(",
        ),
    ],
)
def test_lists_and_names_that_do_not_fit_are_refused(tmp_path: Path, file: str, content: str, message: str) -> None:
    root = write_voc(tmp_path)
    (root / file).write_text(content)
    with pytest.raises(DataError, match=message):
        auto(root, "voc")


def write_cityscapes(root: Path, *kinds: str, part: str = "train") -> Path:
    write_image(root / "leftImg8bit" / part / "a" / "a_000000_000001_leftImg8bit.png")
    (root / "gtFine" / part / "a").mkdir(parents=True)
    for kind in (*kinds, "color"):
        name = f"a_000000_000001_gtFine_{kind}.png"
        shutil.copy(REAL / "cityscapes" / name, root / "gtFine" / part / "a" / name)
    write_mask(root / "gtFine" / part / "a" / "a_000000_000001_gtFine_instanceIds.png", np.full((40, 48), 9, np.uint8))
    return root


def test_ids_and_train_ids_of_cityscapes_mean_the_same(tmp_path: Path) -> None:
    masks = []
    for kind in ("labelIds", "labelTrainIds"):
        root = write_cityscapes(tmp_path / kind, kind)
        found = auto(root, "cityscapes")
        assert found.classes == ("road", "pole", "sky", "person", "rider", "car", "bicycle")
        _, read = masks_of(found, root, tmp_path / f"made_{kind.lower()}")
        masks.append(read["a_000000_000001"])
    np.testing.assert_array_equal(*masks)
    # The ego vehicle, parking, the licence plate and what no polygon covers.
    assert (masks[0] == IGNORED_ID).sum() == (masks[1] == IGNORED_ID).sum() > 100


def test_cityscapes_masks_hold_the_pixels_of_its_own_program(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path / "in", "labelIds")
    card, masks = masks_of(auto(root, "cityscapes"), root, tmp_path / "streets")
    stored = np.asarray(Image.open(REAL / "cityscapes" / "a_000000_000001_gtFine_labelIds.png"))
    ids = {name: number for number, name in cityscapes_ids().by_value.items()}
    for place, name in enumerate(card.classes, start=1):
        np.testing.assert_array_equal(masks["a_000000_000001"] == place, stored == ids[name], err_msg=name)


def test_test_images_of_cityscapes_label_nothing(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path, "labelIds")
    write_image(root / "leftImg8bit" / "test" / "b" / "b_0_leftImg8bit.png")
    write_mask(root / "gtFine" / "test" / "b" / "b_0_gtFine_labelIds.png", np.full((40, 48), 3, np.uint8))
    found = auto(root, "cityscapes")
    assert [(one.name, one.split, one.group) for one in found.sources] == [("a_000000_000001", "train", "a")]
    assert found.notes[0] == "1 test images have no labels and were left out"


def test_a_mixture_of_ids_is_refused(tmp_path: Path) -> None:
    write_cityscapes(tmp_path, "labelIds", "labelTrainIds")
    write_image(tmp_path / "leftImg8bit/train/a/b_leftImg8bit.png")
    write_mask(tmp_path / "gtFine/train/a/b_gtFine_labelTrainIds.png", np.zeros((40, 48), np.uint8))
    with pytest.raises(DataError, match=r"1 masks \*_labelIds.png and 2 \*_labelTrainIds.png"):
        auto(tmp_path, "cityscapes")


def test_cityscapes_without_masks_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="createTrainIdLabelImgs"):
        auto(write_cityscapes(tmp_path), "cityscapes")


def write_roboflow(
    root: Path, table: str = "Pixel Value, Class\n0, background\n1, ripe apple\n2, leaf\n3, twig\n"
) -> Path:
    for part, kinds in (("train", KINDS[:6]), ("valid", KINDS[6:8]), ("test", KINDS[8:])):
        for kind in kinds:
            write_image(root / part / f"{kind}_jpg.rf.0a1b.jpg")
            write_mask(root / part / f"{kind}_jpg.rf.0a1b_mask.png", drawn(kind))
        (root / part / "_classes.csv").write_text(table)
    return root


def test_roboflow_names_values_with_blanks_after_commas(tmp_path: Path) -> None:
    root = write_roboflow(tmp_path / "in")
    found = auto(root, "roboflow_masks")
    card, masks = masks_of(found, root, tmp_path / "orchard")
    assert card.classes == ("ripe apple", "leaf")
    assert found.notes == ("classes without any pixel were left out: twig",)
    assert {source.split for source in found.sources} == {"train", "validation", "test"}
    for kind in KINDS:
        np.testing.assert_array_equal(masks[f"{kind}_jpg.rf.0a1b"], drawn(kind), err_msg=kind)


def test_classes_that_are_not_chosen_are_background(tmp_path: Path) -> None:
    root = write_roboflow(tmp_path / "in")
    _, masks = masks_of(auto(root, "roboflow_masks", classes={"leaf": ()}), root, tmp_path / "leaves")
    np.testing.assert_array_equal(masks["touching_jpg.rf.0a1b"], drawn("touching") == 2)
    with pytest.raises(ConfigError, match="--class pear is not in the legend"):
        auto(root, "roboflow_masks", classes={"pear": ()})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "Pixel Value, Class\n0, background\n1, apple\n",
            r"_classes.csv does not name some .* 1 values occur: 2 \(",
        ),
        ("Pixel Value, Class\n1, a\n1, b\n", "the value 1 is there twice"),
        ("Pixel Value, Class\n-1, a\n", "line 2: '-1' is no pixel value"),
        ("Pixel Value, Class\n1\n", "line 2: '1' has 1 columns, its header has 2"),
        ("Pixel Value; Class\n", "begins with Pixel Value; Class"),
    ],
)
def test_tables_of_classes_that_do_not_fit_are_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        auto(write_roboflow(tmp_path, table), "roboflow_masks")


def test_parts_of_two_versions_are_refused(tmp_path: Path) -> None:
    (write_roboflow(tmp_path) / "valid" / "_classes.csv").write_text("Pixel Value, Class\n1, a\n2, b\n")
    with pytest.raises(DataError, match="names other classes than"):
        auto(tmp_path, "roboflow_masks")


def write_nnunet(root: Path, **changes: Any) -> Path:
    for kind in KINDS:
        write_image(root / "imagesTr" / f"{kind}_0000.png")
        write_mask(root / "labelsTr" / f"{kind}.png", np.array([0, 1, 2] + [3] * 253, np.uint8)[with_border(kind)])
    content = {
        "channel_names": {"0": "R", "1": "G", "2": "B"}, "file_ending": ".png", "numTraining": len(KINDS),
        "labels": {"background": 0, "cell": 1, "nucleus": 2, "ignore": 3},
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(content | changes))
    return root


def test_nnunet_is_read_by_its_labels(tmp_path: Path) -> None:
    root = write_nnunet(tmp_path / "Dataset001_cells")
    write_image(root / "imagesTs" / "z_0000.png")
    found = auto(root, "nnunet")
    card, masks = masks_of(found, root, tmp_path / "cells")
    assert (card.classes, card.mask_ignore) == (("cell", "nucleus"), (3,))
    assert found.notes == ("1 images of imagesTs have no labels and were left out",)
    for kind in KINDS:
        np.testing.assert_array_equal(masks[kind], with_border(kind), err_msg=kind)


def test_labels_of_test_images_make_a_split(tmp_path: Path) -> None:
    root = write_nnunet(tmp_path)
    write_image(root / "imagesTs" / "z_0000.png")
    write_mask(root / "labelsTs" / "z.png", drawn("disc"))
    splits = {source.name: source.split for source in auto(root, "nnunet").sources}
    assert splits == dict.fromkeys(KINDS, "train") | {"z": "test"}


def test_three_channels_of_grey_are_a_colour_image(tmp_path: Path) -> None:
    root = write_nnunet(tmp_path)
    for channel in range(3):
        write_mask(root / "imagesTr" / f"disc_000{channel}.png", np.full((40, 48), 10 * channel, np.uint8))
    image = {source.name: source.image for source in auto(root, "nnunet").sources}["disc"]
    assert callable(image)
    np.testing.assert_array_equal(image()[7, 9], [0, 10, 20])
    write_mask(root / "imagesTr" / "disc_0001.png", np.full((40, 47), 1, np.uint8))
    with pytest.raises(DataError, match=r"disc_0001.png is of mode L and 47x40 px"):
        image()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file_ending": ".nii.gz"}, r"the images are \.nii\.gz files, which are volumes.*as PNG or TIFF"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "'whole' is a region of several labels"),
        ({"labels": {"background": 0, "cell": "1"}}, "label 'cell' is '1', expected a number"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "two labels have one value"),
        ({"labels": None}, "has no labels"),
        (
            {"labels": {"background": 0, "cell": 1, "ignore": 3}},
            r"dataset.json does not name some .* 1 values occur: 2 \(",
        ),
    ],
)
def test_what_nnunet_means_otherwise_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        auto(write_nnunet(tmp_path, **changes), "nnunet")


def test_two_channels_are_no_picture(tmp_path: Path) -> None:
    write_image(write_nnunet(tmp_path) / "imagesTr" / "disc_0001.png")
    with pytest.raises(DataError, match="'disc' has the channels 0000, 0001; expected 0000 alone"):
        auto(tmp_path, "nnunet")
    (tmp_path / "imagesTr" / "disc_0001.png").rename(tmp_path / "imagesTr" / "disc.png")
    with pytest.raises(DataError, match=r"disc\.png has no number of a channel"):
        auto(tmp_path, "nnunet")


WRITERS = {"voc": write_voc, "roboflow_masks": write_roboflow, "nnunet": write_nnunet}


@pytest.mark.parametrize(
    ("layout", "options", "expected"),
    [
        ("voc", {"reading": "instances", "ignore": (255,)}, [0, 1, 1, 255]),
        ("voc", {"classes": {"x": (DOG, CAT)}, "ignore": (255,)}, [0, 1, 1, 255]),
        ("voc", {"classes": {"dog": ()}}, [0, 0, 1, 255]),
        ("voc", {"ignore": (DOG, 255)}, [0, 1, 255, 255]),
        ("voc", {"threshold": 10}, [0, 1, 1, 1]),
        ("roboflow_masks", {"reading": "instances"}, [0, 1, 1]),
        ("roboflow_masks", {"ignore": (2,)}, [0, 1, 255]),
        ("roboflow_masks", {"classes": {"fruit": (1,)}, "ignore": (2,)}, [0, 1, 255]),
        ("roboflow_masks", {"threshold": 2}, [0, 0, 1]),
        ("nnunet", {"reading": "instances", "ignore": (3,)}, [0, 1, 1, 255]),
        ("nnunet", {"ignore": (1, 3)}, [0, 255, 1, 255]),
        ("nnunet", {"classes": {"all": (1, 2), "edge": (3,)}}, [0, 1, 1, 2]),
    ],
)
def test_options_say_what_masks_mean_before_the_layout_does(
    layout: str, options: dict[str, Any], expected: list[int], tmp_path: Path
) -> None:
    root = WRITERS[layout](tmp_path / "in")
    found = auto(root, layout, **options)
    assert found.understood is not None
    assert found.understood.files == len(KINDS)
    _, masks = masks_of(found, root, tmp_path / "made")
    for kind in KINDS:
        ids = drawn(kind) if layout == "roboflow_masks" else with_border(kind)
        wanted = np.array(expected, np.uint8)[np.where(ids == IGNORED_ID, 3, ids)]
        np.testing.assert_array_equal(masks[kind + "_jpg.rf.0a1b" * (layout == "roboflow_masks")], wanted, err_msg=kind)


def test_cityscapes_tells_what_each_value_means(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path / "in", "labelIds")
    found = auto(root, "cityscapes", ignore=(7,))
    assert found.understood is not None
    meanings = {row.written: row.meaning for row in found.understood.meanings}
    assert (meanings["7"], meanings["24"], meanings["0"]) == ("(not labelled)", "person", "(not labelled)")
    stored = np.asarray(Image.open(REAL / "cityscapes" / "a_000000_000001_gtFine_labelIds.png"))
    _, masks = masks_of(found, root, tmp_path / "streets")
    assert (masks["a_000000_000001"][stored == 7] == IGNORED_ID).all()


def test_colours_where_a_layout_has_numbers_are_refused(tmp_path: Path) -> None:
    root = write_roboflow(tmp_path)
    write_mask(root / "train" / f"{KINDS[0]}_jpg.rf.0a1b_mask.png", np.full((40, 48, 3), (9, 8, 7), np.uint8))
    with pytest.raises(DataError, match=r"1 masks have colours \(square_jpg.*_classes.csv names numbers"):
        auto(root, "roboflow_masks")
