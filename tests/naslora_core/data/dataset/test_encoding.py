"""Class ids out of mask files, by threshold, by number, by palette index and by colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from naslora_core.data.dataset.card import DatasetCard, SplitRule, read_card, write_card
from naslora_core.data.dataset.encoding import _look_up, decode_mask, read_class_ids
from naslora_core.errors import DataError


def card(**encoding: object) -> DatasetCard:
    return DatasetCard(
        name="glass", title="Glass", classes=encoding.pop("classes", ("things", "stuff")),
        split=SplitRule(kind="random", seed=1, train=0.6, validation=0.2, test=0.2),
        licence="none", citation="none", source="drawn", **encoding,
    )  # fmt: skip


NUMBERS = card(mask_values={"things": (1, 4), "stuff": (2,), "background": (255,)})
COLOURS = card(mask_values={"things": ("#ff0000",), "stuff": ("#ffffff",)})


def test_numbers_become_class_ids_and_listed_background_becomes_zero(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1, 4], [2, 255, 0]], dtype=np.uint8)).save(tmp_path / "m.png")
    assert read_class_ids(tmp_path / "m.png", NUMBERS).tolist() == [[0, 1, 1], [2, 0, 0]]


def test_a_palette_file_is_read_by_its_indices_whatever_its_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), mode="P")
    picture.putpalette([9, 9, 9, 200, 0, 0, 200, 0, 0])
    picture.save(tmp_path / "m.png")
    assert read_class_ids(tmp_path / "m.png", NUMBERS).tolist() == [[0, 1], [2, 1]]


def test_sixteen_bit_numbers_are_not_cut_to_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 257]], dtype=np.uint16)).save(tmp_path / "m.png")
    assert decode_mask(tmp_path / "m.png", NUMBERS).unknown == ("257",)


def test_colours_become_class_ids(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 3), dtype=np.uint8)
    pixels[0, 1], pixels[0, 2] = (255, 0, 0), (255, 255, 255)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert read_class_ids(tmp_path / "m.png", COLOURS).tolist() == [[0, 1, 2]]


def test_an_unknown_value_is_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3]], dtype=np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png has the value 3, which no class has"):
        read_class_ids(tmp_path / "m.png", NUMBERS)


def test_a_colour_file_where_numbers_are_expected_is_refused(tmp_path: Path) -> None:
    # Three equal channels are one number; these differ.
    Image.fromarray(np.array([[[0, 0, 1]]], dtype=np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="has 3 channels"):
        read_class_ids(tmp_path / "m.png", NUMBERS)


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        ({}, "give mask_threshold"),
        ({"mask_threshold": 128}, "2 classes can only be told apart"),
        ({"mask_threshold": 9, "mask_values": {"things": (1,), "stuff": (2,)}}, "not both"),
        ({"mask_values": {"things": (1,)}}, "look at stuff"),
        ({"mask_values": {"things": (1,), "stuff": (1,)}}, "values of its own"),
        ({"mask_values": {"things": (1,), "stuff": ()}}, "values of its own"),
        ({"mask_values": {"things": (1,), "stuff": ("#ff0000",)}}, "all numbers or all colours"),
        ({"mask_values": {"a": (1,), "background": (2,)}, "classes": ("a", "a")}, "must differ"),
    ],
)
def test_a_card_that_cannot_decode_masks_is_refused(encoding: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        card(**encoding)


@pytest.mark.parametrize("written", [NUMBERS, COLOURS])
def test_a_card_is_read_as_it_was_written(tmp_path: Path, written: DatasetCard) -> None:
    write_card(tmp_path, written)
    assert read_card(tmp_path) == written


@pytest.mark.parametrize("values", [[0, 7, 255], [0, 7, 65535], [0, 7, 0xFFFFFF], [0, 7, 1 << 24], [-1, 0, 7]])
def test_values_of_any_width_are_looked_up_as_one_by_one(values: list[int]) -> None:
    pixels = np.random.default_rng(1).choice(np.array(values), (9, 5))
    meaning = {0: 0, 7: 3, values[-1]: 2, 9: 1}
    found, ids = _look_up(pixels, meaning)
    assert found.tolist() == sorted(values)
    expected = [[meaning.get(int(value), 0) for value in row] for row in pixels]
    assert (ids.dtype, ids.tolist()) == (np.uint8, expected)
