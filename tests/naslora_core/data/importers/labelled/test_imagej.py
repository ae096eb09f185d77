"""ImageJ: regions become the pixels that ImageJ itself fills, and what cannot be read is named."""

import builtins
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.importers import IMPORTERS, ImportRequest
from naslora_core.data.importers.labelled.readers.imagej_rois import MOST_BYTES_OF_ONE
from naslora_core.errors import ConfigError, DataError
from tests.naslora_core.data.importers.labelled.cases import KINDS, REAL, auto, masks_of, write_image

roifile = pytest.importorskip("roifile")
# The last three: corners between pixels, rotated ellipses and boxes, and what the wand traces.
SCENES = (*KINDS, "subpixel", "rotated", "traced")


def read(root: Path, *scenes: str, form: str = "{}.zip") -> Path:
    for scene in scenes:
        write_image(root / f"{scene}.tif")
        shutil.copy(REAL / "imagej" / f"{scene}.zip", root / form.format(scene))
    return root


def save(root: Path, **fields: Any) -> Path:
    write_image(root / "a.png")
    roi = roifile.ImagejRoi.frompoints([[2, 2], [9, 2], [9, 9]])
    for name, value in fields.items():
        setattr(roi, name, value)
    roi.tofile(root / "a.roi")
    return root


def test_regions_are_painted_as_imagej_fills_them(tmp_path: Path) -> None:
    root = read(tmp_path / "in", *SCENES)
    found = auto(root, "imagej")
    card, masks = masks_of(found, root, tmp_path / "cells")
    assert card.classes == ("no group", "group 1", "group 2")
    assert "2 regions are lines, points or text, have no area and were left out" in found.notes
    for scene in SCENES:
        filled = np.asarray(Image.open(REAL / "imagej" / f"{scene}.png"))
        grouped = scene in ("touching", "overlapping", "two_classes")
        np.testing.assert_array_equal(masks[scene], np.where(filled, filled + grouped, 0))


def test_without_groups_all_regions_are_one_class(tmp_path: Path) -> None:
    root = read(tmp_path, "square", "empty", form="RoiSet_{}.zip")
    found = auto(root, "imagej", classes={"cell": ()})
    assert found.classes == ("cell",)
    masks = {source.name: source.mask for source in found.sources}
    assert callable(masks["empty"])
    assert not masks["empty"]().any()


def test_groups_that_are_not_chosen_are_background(tmp_path: Path) -> None:
    found = auto(read(tmp_path, "touching"), "imagej", classes={"group 2": ()})
    assert callable(found.sources[0].mask)
    filled = np.asarray(Image.open(REAL / "imagej" / "touching.png"))
    np.testing.assert_array_equal(found.sources[0].mask(), filled == 2)


def test_a_single_region_needs_no_archive(tmp_path: Path) -> None:
    found = auto(save(tmp_path), "imagej")
    assert callable(found.sources[0].mask)
    assert found.sources[0].mask().sum() == 21


def test_images_without_regions_are_named(tmp_path: Path) -> None:
    write_image(read(tmp_path, "square", "disc") / "bare.tif")
    found = auto(tmp_path, "imagej")
    assert [source.name for source in found.sources if source.mask is None] == ["bare"]
    assert "1 images have no file of regions: bare" in found.notes[-1]


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="group 7 is not in the data, which has no group"):
        auto(read(tmp_path, "square", "touching"), "imagej", classes={"group 7": ()})


def test_regions_of_no_image_are_refused(tmp_path: Path) -> None:
    read(tmp_path, "square", "disc")
    (tmp_path / "square.zip").rename(tmp_path / "other.zip")
    with pytest.raises(DataError, match=r"1 files of regions are named as no image: other.zip"):
        auto(tmp_path, "imagej")


@pytest.mark.parametrize(
    ("fields", "message"), [({"options": 1}, "is a spline"), ({"roitype": 1, "rounded_rect_arc_size": 4}, "round corn")]
)
def test_what_only_imagej_can_paint_is_refused(tmp_path: Path, fields: dict[str, int], message: str) -> None:
    changes: dict[str, Any] = dict(fields)
    if "options" in changes:
        changes["options"] = roifile.ROI_OPTIONS(changes["options"])
    if "roitype" in changes:
        changes["roitype"] = roifile.ROI_TYPE(changes["roitype"])
    with pytest.raises(DataError, match=message):
        auto(save(tmp_path, **changes), "imagej")


@pytest.mark.parametrize("content", [b"", b"Iout", b"GIF89a" * 30, b"Iout\0\xe3\0\0" + b"\x7f" * 60])
def test_damaged_regions_are_refused(tmp_path: Path, content: bytes) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "a.roi").write_bytes(content)
    with pytest.raises(DataError, match="a.roi is no region of ImageJ"):
        auto(tmp_path, "imagej")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray((read(tmp_path, "square") / "square.zip").read_bytes())
    content[60:80] = bytes(20)
    (tmp_path / "square.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"square\.zip"):
        auto(tmp_path, "imagej")


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../x.roi", bytes(MOST_BYTES_OF_ONE + 1))
    with pytest.raises(DataError, match=r"has more than 16,777,216 bytes"):
        auto(tmp_path, "imagej")
    assert not list(tmp_path.parent.glob("x.roi"))


def test_without_roifile_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path, "square")
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "roifile":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match=r"pip install 'naslora\[imagej\]'"):
        IMPORTERS["imagej"](ImportRequest(tmp_path))
