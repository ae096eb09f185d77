import csv
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from naslora_core.data.curation.quarantine import quarantine, restore
from naslora_core.data.curation.resplit import resplit
from naslora_core.data.dataset.card import SplitRule, read_card, write_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import read_splits, write_splits
from naslora_core.errors import DataError

Write = Callable[..., Path]
RULE = SplitRule(kind="random", seed=11, train=0.6, validation=0.2, test=0.2)


def make_listed(root: Path) -> dict[str, str]:
    """Mark the split as a published one."""
    card = read_card(root)
    write_card(root, card.model_copy(update={"split": card.split.model_copy(update={"kind": "listed"})}))
    return read_splits(root)


def names_of_test(splits: dict[str, str]) -> set[str]:
    return {name for name, split in splits.items() if split == "test"}


def test_a_new_seed_draws_another_split_and_the_card_tells_the_rule(write_dataset: Write) -> None:
    root = write_dataset(15)
    before = read_splits(root)
    dataset = resplit(root, RULE)
    assert read_splits(root) != before
    assert {pair.name: pair.split for pair in dataset.pairs} == read_splits(root)
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [9, 3, 3]
    assert read_card(root).split == RULE
    resplit(root, SplitRule(kind="random", seed=3, train=0.6, validation=0.2, test=0.2))
    assert read_splits(root) == before


def test_copies_of_an_image_stay_together(write_dataset: Write) -> None:
    root = write_dataset(15)
    for copy in ("disc_05", "disc_09", "disc_12"):
        shutil.copy(root / "images" / "disc_01.jpg", root / "images" / f"{copy}.jpg")
    for seed in range(6):
        splits = {pair.name: pair for pair in resplit(root, RULE.model_copy(update={"seed": seed})).pairs}
        assert len({splits[name].split for name in ("disc_01", "disc_05", "disc_09", "disc_12")}) == 1
        assert {splits[name].group for name in ("disc_05", "disc_09")} == {"disc_01"}


def test_groups_of_the_table_and_of_a_pattern_stay_together(write_dataset: Write) -> None:
    root = write_dataset(15)
    write_splits(root, read_splits(root), {"disc_00": "p1", "disc_14": "p1"})
    rule = RULE.model_copy(update={"group_pattern": r"_(\d)"})
    pairs = {pair.name: pair for pair in resplit(root, rule).pairs}
    assert pairs["disc_00"].split == pairs["disc_14"].split
    assert pairs["disc_00"].group == pairs["disc_14"].group == "p1"
    assert len({pair.split for name, pair in pairs.items() if pair.group == "1"}) == 1
    (root / "images" / "disc_19.jpg").write_bytes((root / "images" / "disc_14.jpg").read_bytes())
    newcomer = next(pair for pair in read_dataset(root).pairs if pair.name == "disc_19")
    assert (newcomer.group, newcomer.split) == ("1", pairs["disc_13"].split)


def test_a_published_test_split_is_not_replaced_without_force(write_dataset: Write) -> None:
    root = write_dataset(15)
    listed = make_listed(root)
    before = [(root / name).read_bytes() for name in ("splits.csv", "dataset.yaml")]
    with pytest.raises(DataError, match="published one.*--keep-test, or everything with --force"):
        resplit(root, RULE)
    assert [(root / name).read_bytes() for name in ("splits.csv", "dataset.yaml")] == before
    resplit(root, RULE, force=True)
    assert names_of_test(read_splits(root)) != names_of_test(listed)
    assert read_card(root).split.kind == "random"


def test_validation_images_are_drawn_beside_published_test_images(write_dataset: Write) -> None:
    root = write_dataset(15)
    listed = make_listed(root)
    dataset = resplit(root, RULE, keep_test=True)
    assert names_of_test(read_splits(root)) == names_of_test(listed)
    assert [len(dataset.of_split(split)) for split in ("train", "validation", "test")] == [9, 3, 3]
    assert read_splits(root) != listed
    rule = read_card(root).split
    assert (rule.kind, rule.train, rule.validation, rule.test) == ("listed", 0.6, 0.2, 0.2)


def test_stratified_and_recorded(write_dataset: Write) -> None:
    root = write_dataset(15)
    rule = RULE.model_copy(update={"stratify": "foreground"})
    dataset = resplit(root, rule)
    # The radius of disc i is 8 + i % 5: five strata of three, and of each one image for validation and testing.
    for split in ("validation", "test"):
        assert sorted(int(pair.name[-2:]) % 5 for pair in dataset.of_split(split)) != [0, 0, 0]
        assert len({int(pair.name[-2:]) % 5 for pair in dataset.of_split(split)}) == 3
    assert read_card(root).split.stratify == "foreground"


def test_what_is_in_quarantine_keeps_a_place(write_dataset: Write) -> None:
    root = write_dataset(15)
    quarantine(root, {"disc_03": "x"}, date(2026, 1, 31))
    resplit(root, RULE)
    with (root / "splits.csv").open() as stream:
        listed = {row["name"] for row in csv.DictReader(stream)}
    assert "disc_03" in listed
    split = read_splits(root)["disc_03"]
    restore(root)
    assert next(pair.split for pair in read_dataset(root).pairs if pair.name == "disc_03") == split
