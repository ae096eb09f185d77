from pathlib import Path

import pytest

from naslora_core.data.card import SplitRule
from naslora_core.data.splits import assign_splits, draw_splits, read_groups, read_splits, write_splits
from naslora_core.errors import DataError

RULE = SplitRule(kind="random", seed=5, train=0.7, validation=0.15, test=0.15)
NAMES = [f"img{index}" for index in range(80)]


def test_a_drawn_split_has_the_exact_proportions() -> None:
    splits = list(draw_splits(NAMES, RULE).values())
    assert [splits.count(split) for split in ("train", "validation", "test")] == [56, 12, 12]


def test_a_drawn_split_depends_on_the_seed_and_not_on_the_order() -> None:
    assert draw_splits(NAMES, RULE) == draw_splits(reversed(NAMES), RULE)
    assert draw_splits(NAMES, RULE) != draw_splits(NAMES, RULE.model_copy(update={"seed": 6}))


@pytest.mark.parametrize("count", [3, 4, 7, 13])
def test_every_split_gets_an_image_of_a_small_dataset(count: int) -> None:
    assert set(draw_splits(NAMES[:count], RULE).values()) == {"train", "validation", "test"}


def test_new_images_never_move_old_ones() -> None:
    listed = draw_splits(NAMES, RULE)
    newcomers = [f"new{index}" for index in range(400)]
    first = assign_splits(NAMES + newcomers[:200], listed, RULE)
    second = assign_splits(newcomers + NAMES, listed, RULE)
    assert all(second[name] == split for name, split in first.items())
    assert all(first[name] == split for name, split in listed.items())


def test_new_images_are_divided_about_as_the_rule_says() -> None:
    splits = list(assign_splits([f"new{index}" for index in range(2000)], {}, RULE).values())
    # 2000 draws deviate by 20 (one sigma) for a share of 0.7 and by 16 for 0.15; four sigma each.
    assert abs(splits.count("train") - 1400) < 82
    assert abs(splits.count("test") - 300) < 64


def test_new_images_of_a_published_split_are_for_training() -> None:
    rule = RULE.model_copy(update={"kind": "listed"})
    assert assign_splits(["a", "b"], {"a": "test"}, rule) == {"a": "test", "b": "train"}


def test_a_written_split_is_read_back_and_sorted(tmp_path: Path) -> None:
    splits = {"b, with comma": "test", "a": "train", "ü": "validation"}
    write_splits(tmp_path, splits)
    assert read_splits(tmp_path) == splits
    assert (tmp_path / "splits.csv").read_text(encoding="utf-8").splitlines()[:2] == ["name,split", "a,train"]


def test_a_split_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_bytes(b"\xef\xbb\xbfname,split\r\na,train\r\n")
    assert read_splits(tmp_path) == {"a": "train"}


def test_a_third_column_names_groups_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("name,split,group\na,train,p1\nb,test,\nc,train,p1\n", encoding="utf-8")
    assert read_splits(tmp_path) == {"a": "train", "b": "test", "c": "train"}
    assert read_groups(tmp_path) == {"a": "p1", "c": "p1"}
    write_splits(tmp_path, {"a": "train"})
    assert read_groups(tmp_path) == {}
    (tmp_path / "splits.csv").unlink()
    assert read_groups(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,split,patient\na,train,p\n", "the first line must be name,split or name,split,group"),
        ("name,split\na,train\nb,trian\n", "line 3: 'trian' is not a split; did you mean 'train'"),
        ("name,split\na,train\nb\n", "line 3: 'None' is not a split; use train, validation, test"),
        ("file,part\na,train\n", "the first line must be name,split"),
        ("name,split\na,train\na,test\n", "'a' is listed a second time"),
    ],
)
def test_a_wrong_split_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "splits.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_splits(tmp_path)
