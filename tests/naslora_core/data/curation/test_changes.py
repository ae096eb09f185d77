import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from naslora_core.data.curation.changes import Changes, Version, find_changes, read_version
from naslora_core.data.curation.pack import pack
from naslora_core.data.curation.quarantine import quarantine
from naslora_core.data.dataset.card import read_card, write_card
from naslora_core.data.dataset.splits import read_splits, write_splits
from naslora_core.files import file_md5

Write = Callable[..., Path]


def version(root: Path, label: str = "now") -> Version:
    files = {path.relative_to(root).as_posix(): file_md5(path) for path in root.rglob("*") if path.is_file()}
    return read_version(label, files, root)


@pytest.fixture
def change(write_dataset: Write, tmp_path: Path) -> Callable[[Callable[[Path], object]], Changes]:
    """Return a function that says what doing something to a dataset of 10 changes."""

    def compared(action: Callable[[Path], object]) -> Changes:
        root = write_dataset(10)
        before = version(root, "before")
        action(root)
        return find_changes(before, version(root, "after"))

    return compared


def test_the_same_files_do_not_differ(change: Callable[..., Changes]) -> None:
    assert not change(lambda root: None).any


def test_files_added_removed_and_changed_are_told_apart(change: Callable[..., Changes]) -> None:
    def act(root: Path) -> None:
        shutil.copy(root / "images" / "disc_00.jpg", root / "images" / "new.jpg")
        shutil.copy(root / "masks" / "disc_00.png", root / "masks" / "new.png")
        (root / "images" / "disc_03.jpg").unlink()
        (root / "masks" / "disc_03.png").unlink()
        shutil.copy(root / "masks" / "disc_00.png", root / "masks" / "disc_04.png")
        shutil.copy(root / "images" / "disc_00.jpg", root / "images" / "disc_05.jpg")

    found = change(act)
    assert found.images == {"added": ["new"], "removed": ["disc_03"], "changed": ["disc_05"]}
    assert found.masks == {"added": ["new"], "removed": ["disc_03"], "changed": ["disc_04"]}
    assert (found.pairs, found.moved, found.card) == ((10, 10), {}, {})


def test_moves_and_changes_of_the_card_are_named(change: Callable[..., Changes]) -> None:
    def act(root: Path) -> None:
        splits = read_splits(root)
        name = next(name for name, split in splits.items() if split == "test")
        write_splits(root, splits | {name: "train"})
        card = read_card(root)
        write_card(
            root, card.model_copy(update={"mask_threshold": 1, "split": card.split.model_copy(update={"seed": 4})})
        )

    found = change(act)
    assert list(found.moved.values()) == [("test", "train")]
    assert found.card == {"mask_threshold": (128, 1), "split.seed": (3, 4)}
    assert found.any


def test_quarantine_is_no_removal(change: Callable[..., Changes]) -> None:
    found = change(lambda root: quarantine(root, {"disc_02": "x"}, date(2026, 1, 31)))
    assert (found.quarantined, found.images["removed"], found.masks["removed"]) == (["disc_02"], [], [])
    assert found.pairs == (10, 9)


def test_packing_changes_nothing(change: Callable[..., Changes]) -> None:
    assert not change(pack).any


def test_a_domain_that_was_not_there_is_all_new(write_dataset: Write) -> None:
    found = find_changes(Version("before"), version(write_dataset(4)))
    assert len(found.images["added"]) == 4
    assert found.pairs == (0, 4)
