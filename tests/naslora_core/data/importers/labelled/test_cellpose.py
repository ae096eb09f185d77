"""Cellpose: masks of cell numbers become one class; pickles are refused, and images without a mask are named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.errors import DataError
from tests.naslora_core.data.importers.labelled.cases import REAL, auto, masks_of, write_image, write_mask

FILES = REAL / "cellpose"


def test_cells_are_where_cellpose_was_told_they_are(tmp_path: Path) -> None:
    root = tmp_path / "in"
    drawn = np.load(FILES / "drawn.npz")
    for name in drawn:
        write_image(root / f"{name}.tif")
    for file in FILES.glob("*_cp_masks.*"):
        shutil.copy(file, root / file.name)
    found = auto(root, "cellpose", classes={"nucleus": ()})
    card, masks = masks_of(found, root, tmp_path / "cells")
    assert (card.classes, card.reading, found.notes) == (("nucleus",), "instances", ())
    for name in drawn:
        np.testing.assert_array_equal(masks[name], drawn[name], err_msg=name)


def test_what_else_cellpose_writes_is_neither_image_nor_mask(tmp_path: Path) -> None:
    for ending in ("", "_cp_outlines", "_flows", "_cp_output", "_cp_masks"):
        write_image(tmp_path / f"a{ending}.png", channels=1)
    (tmp_path / "a_seg.npy").write_bytes(b"\x93NUMPY")
    write_image(tmp_path / "b.png")
    found = auto(tmp_path, "cellpose")
    assert [(one.name, one.mask is None) for one in found.sources] == [("a", False), ("b", True)]
    assert found.notes[0] == "1 files *_seg.npy are pickles and were not read; the masks beside them were"
    assert "1 images have no mask: b. Cellpose writes no PNG where it finds no cell" in found.notes[1]


def test_masks_may_lie_in_a_folder_and_splits_in_folders(tmp_path: Path) -> None:
    for part, name in (("train", "a"), ("test", "a")):
        write_image(tmp_path / part / f"{name}.png")
        write_mask(tmp_path / part / "masks" / f"{name}_cp_masks.png", np.full((40, 48), 3, np.uint8))
    found = auto(tmp_path, "cellpose")
    assert [(one.name, one.split) for one in found.sources] == [("test_a", "test"), ("train_a", "train")]


def test_the_layout_of_its_own_dataset_is_read(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number:03d}_img.png")
        write_mask(tmp_path / f"{number:03d}_masks.png", np.full((40, 48), number, np.uint8))
    found = auto(tmp_path, "cellpose")
    assert [one.name for one in found.sources] == ["000", "001", "002"]
    assert all(one.image and one.mask for one in found.sources)


def test_a_folder_of_pickles_says_what_to_save(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "a_seg.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"are pickles.* File > Save masks as PNG/tif, or run it with --save_tif"):
        auto(tmp_path, "cellpose")


def test_masks_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png")
        Image.new("L", (48, 40)).save(tmp_path / f"{name}_cp_masks.png")
    (tmp_path / "b_cp_masks.png").write_bytes(b"\x89PNG")
    assert "1 masks could not be read, such as: " in auto(tmp_path, "cellpose").notes[0]
    (tmp_path / "a_cp_masks.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="a_cp_masks.png cannot be read"):
        auto(tmp_path, "cellpose")


def test_numbers_may_be_classes_where_the_user_says_so(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_image(root / "a.png")
    values = np.zeros((40, 48), np.uint8)
    values[:9], values[9:20], values[20:30] = 1, 2, 9
    write_mask(root / "a_cp_masks.png", values)
    for number, (options, expected) in enumerate((
        ({"ignore": (9,)}, [1, 1, IGNORED_ID]),
        ({"classes": {"young": (1,), "old": (2,)}, "ignore": (9,)}, [1, 2, IGNORED_ID]),
        ({"threshold": 2}, [0, 1, 1]),
    )):  # fmt: skip
        _, masks = masks_of(auto(root, "cellpose", **options), root, tmp_path / f"made{number}")
        assert [masks["a"][row, 0] for row in (0, 9, 20)] == expected
