"""Arrays of labels: whole numbers are read without pickle, and what could mean two things is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.errors import ConfigError, DataError
from tests.naslora_core.data.importers.labelled.cases import KINDS, auto, drawn, masks_of, write_image


def write(root: Path, array: Any = None, name: str = "a.npy") -> Path:
    write_image(root / "a.png")
    np.save(root / name, drawn("disc") if array is None else array)
    return root


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.uint16, np.int32, np.int64, ">i4"])
def test_one_class_of_any_whole_numbers_is_read(tmp_path: Path, kind: Any) -> None:
    root = tmp_path / "in"
    for name in KINDS:
        write_image(root / "images" / f"{name}.png")
        (root / "masks").mkdir(exist_ok=True)
        np.save(root / "masks" / f"{name}_mask.npy", (drawn(name) > 0).astype(kind)[..., None])
    card, masks = masks_of(auto(root, "label_arrays", classes={"cell": ()}), root, tmp_path / "cells")
    assert card.classes == ("cell",)
    for name in KINDS:
        np.testing.assert_array_equal(masks[name], drawn(name) > 0, err_msg=name)


def test_values_get_the_names_that_are_given(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in KINDS:
        write_image(root / f"{name}.png")
        ids = drawn(name).astype(np.int16) * 7
        ids[39, :4] = 255
        np.save(root / f"{name}.npy", ids)
    _, masks = masks_of(auto(root, "label_arrays", classes={"a": (7,), "b": (14,)}), root, tmp_path / "cells")
    for name in KINDS:
        expected = drawn(name)
        expected[39, :4] = IGNORED_ID
        np.testing.assert_array_equal(masks[name], expected, err_msg=name)


def test_images_and_arrays_without_a_partner_are_named(tmp_path: Path) -> None:
    np.save(write(tmp_path) / "c.npy", drawn("disc"))
    write_image(tmp_path / "b.png")
    found = auto(tmp_path, "label_arrays")
    assert [(one.name, one.mask is None) for one in found.sources] == [("a", False), ("b", True)]
    assert found.notes == (
        "1 arrays are named as no image and were left out: c",
        "1 images have no array: b; --pairs-only leaves them out",
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 40, 48), np.uint8), r"has the shape \(3, 40, 48\).*argmax"),
        (np.zeros((40, 48, 3), np.uint8), r"has the shape \(40, 48, 3\)"),
        (np.zeros((40, 48)), "holds float64, expected whole numbers"),
        (np.zeros((0, 48), np.uint8), "has the shape"),
        (np.array([{"masks": 1}], dtype=object), "is no array of plain numbers"),
        (np.where(drawn("disc"), 255, 0), r"the values 0 \(.*\), 255 \(.*%\); say what they mean: --class a=1"),
        (drawn("touching"), r"0 \(.*\), 1 \(5.2%\), 2 \(5.2%\)"),
        (-drawn("disc").astype(np.int8), r"the values -1 \("),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        auto(write(tmp_path, array), "label_arrays")


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path)
    content = (root / "a.npy").read_bytes().replace(b"(40, 48)", b"(10**9,)", 1).replace(b"10**9,", b"99**9,")
    unclosed = (root / "a.npy").read_bytes().replace(b")", b" ", 1).replace(b"}", b"{", 1)
    for wrong in (content, unclosed, (root / "a.npy").read_bytes()[:900], b"", b"\x93NUMPY"):
        (root / "a.npy").write_bytes(wrong)
        with pytest.raises(DataError, match=r"a\.npy is no array of plain numbers"):
            auto(root, "label_arrays")


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ({"a": (1,)}, DataError, r"the values 2 \(.*\) as well"),
        ({"a": (1,), "b": ()}, ConfigError, "--class b needs the value"),
        ({"a": ("#ff0000",)}, ConfigError, "arrays have numbers, and no colours"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    tmp_path: Path, classes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        auto(write(tmp_path, drawn("touching")), "label_arrays", classes=classes)
