"""One mask file an object: all files of an image become its mask, and none says that there is no object."""

from pathlib import Path

import numpy as np
import pytest

from naslora_core.errors import DataError
from tests.naslora_core.data.importers.labelled.cases import KINDS, auto, drawn, masks_of, write_image, write_mask


def write(root: Path, name: str, *objects: np.ndarray) -> None:
    write_image(root / name / "images" / f"{name}.png")
    (root / name / "masks").mkdir()
    for number, inside in enumerate(objects):
        write_mask(root / name / "masks" / f"{number:02d}.png", (inside * 255).astype(np.uint8))


def test_the_objects_of_an_image_become_its_mask(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for kind in KINDS:
        ids = drawn(kind)
        write(root / "stage1_train", kind, *(ids == number for number in np.unique(ids[ids > 0])))
    write_image(root / "stage1_test" / "x" / "images" / "x.png")
    found = auto(root, "object_masks", classes={"nucleus": ()})
    card, masks = masks_of(found, root, tmp_path / "nuclei")
    assert card.classes == ("nucleus",)
    assert {source.split for source in found.sources} == {"train"}
    assert found.notes == ("1 images have no folder of masks and were left out",)
    for kind in KINDS:
        np.testing.assert_array_equal(masks[kind], drawn(kind) > 0, err_msg=kind)


def test_folders_of_images_may_be_the_dataset(tmp_path: Path) -> None:
    write(tmp_path, "a", np.eye(40, 48) > 0)
    (tmp_path / "a" / "masks" / "notes.txt").write_text("x")
    found = auto(tmp_path, "object_masks")
    assert [(source.name, source.split) for source in found.sources] == [("a", None)]
    assert found.notes == ("1 files in folders of masks are no images and were left out",)


def test_masks_of_palette_files_are_read_by_index(tmp_path: Path) -> None:
    write(tmp_path, "a")
    # A display colour of black does not make the object background.
    write_mask(tmp_path / "a" / "masks" / "0.png", drawn("disc"), palette=bytes(6))
    found = auto(tmp_path, "object_masks")
    assert callable(found.sources[0].mask)
    np.testing.assert_array_equal(found.sources[0].mask(), drawn("disc"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.arange(1920, dtype=np.uint8).reshape(40, 48), r"00\.png has the values 1, 2, 3, 4, 5, …; a mask of one"),
        (np.zeros((40, 47), np.uint8), r"00\.png is 47x40 px, its image 48x40 px"),
    ],
)
def test_a_mask_that_is_not_one_object_of_the_image_is_refused(
    tmp_path: Path, values: np.ndarray, message: str
) -> None:
    write(tmp_path, "a")
    write_mask(tmp_path / "a" / "masks" / "00.png", values)
    mask = auto(tmp_path, "object_masks").sources[0].mask
    assert callable(mask)
    with pytest.raises(DataError, match=message):
        mask()


def test_two_images_in_a_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write_image(tmp_path / "a" / "images" / "b.png")
    with pytest.raises(DataError, match="holds 2 images, expected one, called a"):
        auto(tmp_path, "object_masks")


def test_plain_folders_of_splits_are_another_layout(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "images" / "1.png")
    write_mask(tmp_path / "train" / "masks" / "1.png", drawn("disc"))
    with pytest.raises(AssertionError):
        auto(tmp_path, "object_masks")
