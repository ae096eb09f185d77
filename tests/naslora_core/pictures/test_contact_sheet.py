from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslora_core.data.dataset.card import DatasetCard, SplitRule, write_card
from naslora_core.data.dataset.dataset import Dataset, read_dataset
from naslora_core.data.dataset.splits import write_splits
from naslora_core.pictures.contact_sheet import choose_pairs, write_contact_sheet
from naslora_core.pictures.overlays import class_colour


@pytest.fixture
def squares(tmp_path: Path) -> Dataset:
    """Ten grey images of two classes; the mask of the last is broken."""
    root = tmp_path / "squares"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rule = SplitRule(kind="listed", seed=0, train=0.7, validation=0.2, test=0.1)
    write_card(root, DatasetCard(name="squares", title="Squares", classes=("left", "right"),
                                 mask_values={"left": (1,), "right": (2,)}, split=rule, licence="none",
                                 citation="none", source="drawn"))  # fmt: skip
    mask = np.zeros((80, 80), np.uint8)
    mask[20:60, 10:30], mask[20:60, 50:70] = 1, 2
    for index in range(10):
        Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(root / "images" / f"s{index}.png")
        Image.fromarray(mask).save(root / "masks" / f"s{index}.png")
    (root / "masks" / "s9.png").write_bytes(b"broken")
    write_splits(
        root, {f"s{index}": "train" if index < 7 else "validation" if index < 9 else "test" for index in range(10)}
    )
    return read_dataset(root)


def test_a_sheet_shows_every_class_in_its_colour_and_a_broken_pair_as_empty(squares: Dataset, tmp_path: Path) -> None:
    names = write_contact_sheet(tmp_path / "sheet.png", squares, 10)
    assert names == [f"s{index}" for index in range(10)]
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    rows, columns = sheet.shape[0] // 2, sheet.shape[1] // 5
    for colour in map(class_colour, (1, 2)):
        first, last = sheet[40:rows, :columns], sheet[rows + 20 :, 4 * columns :]
        assert (np.abs(first.astype(int) - colour).max(axis=2) < 12).sum() > 40
        assert (np.abs(last.astype(int) - colour).max(axis=2) < 12).sum() == 0


def test_every_split_is_on_the_sheet(squares: Dataset) -> None:
    assert [pair.split for pair in choose_pairs(squares, 4)] == ["train", "train", "train", "validation", "test"]
    assert [pair.name for pair in choose_pairs(squares, 1)] == ["s0", "s7", "s9"]


def test_small_images_fill_their_panel_and_splits_are_named_only_where_there_are_any(
    squares: Dataset, tmp_path: Path
) -> None:
    for named in (True, False):
        write_contact_sheet(tmp_path / f"{named}.png", squares, 10, name_splits=named)
    sheets = [np.asarray(Image.open(tmp_path / f"{named}.png").convert("L")).astype(int) for named in (True, False)]
    # Images of 80 pixels in panels of 360: four times as large.
    panel = sheets[0][36:396, : sheets[0].shape[1] // 5]
    assert (np.abs(panel - 90) < 3).any(axis=1).sum() == 4 * 80
    differs = np.argwhere(sheets[0] != sheets[1])
    assert differs.size
    # Captions alone, below the first panels.
    assert differs[:, 0].min() > 4 * 80
