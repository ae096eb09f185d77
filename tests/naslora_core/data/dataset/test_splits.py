from pathlib import Path

import numpy as np
import pytest

from naslora_core.data.dataset.card import SplitRule
from naslora_core.data.dataset.splits import complete_splits, draw_splits, read_groups, read_splits, write_splits
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
    first = complete_splits(NAMES + newcomers[:200], listed, RULE)
    second = complete_splits(newcomers + NAMES, listed, RULE)
    assert all(second[name] == split for name, split in first.items())
    assert all(first[name] == split for name, split in listed.items())


def test_new_images_are_divided_about_as_the_rule_says() -> None:
    splits = list(complete_splits([f"new{index}" for index in range(2000)], {}, RULE).values())
    # 2000 draws deviate by 20 (one sigma) for a share of 0.7 and by 16 for 0.15; four sigma each.
    assert abs(splits.count("train") - 1400) < 82
    assert abs(splits.count("test") - 300) < 64


def test_new_images_of_a_published_split_are_for_training() -> None:
    rule = RULE.model_copy(update={"kind": "listed"})
    assert complete_splits(["a", "b"], {"a": "test"}, rule) == {"a": "test", "b": "train"}


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


def patients(sizes: list[int]) -> dict[str, str]:
    """Group by name: one patient for each size."""
    return {f"p{patient}_{image}": f"p{patient}" for patient, size in enumerate(sizes) for image in range(size)}


def shared_groups(splits: dict[str, str], groups: dict[str, str]) -> set[str]:
    """The groups that lie in more than one split."""
    found: dict[str, set[str]] = {}
    for name, split in splits.items():
        found.setdefault(groups.get(name, name), set()).add(split)
    return {group for group, of_group in found.items() if len(of_group) > 1}


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_divided_and_shares_are_as_near_as_groups_allow(seed: int) -> None:
    groups = patients([9, 1, 4, 4, 7, 2, 12, 3, 5, 6, 8, 11, 10, 2, 16])  # 100 images
    rule = RULE.model_copy(update={"seed": seed})
    splits = draw_splits(groups, rule, groups)
    assert shared_groups(splits, groups) == set()
    counts = [list(splits.values()).count(split) for split in ("train", "validation", "test")]
    # What fits is taken in turn, so at most half of the smallest group that is left is missing or too many.
    assert abs(counts[1] - 15) <= 2
    assert abs(counts[2] - 15) <= 2
    assert sum(counts) == 100


def test_a_drawn_split_of_groups_is_the_same_in_any_order_and_another_with_another_seed() -> None:
    groups = patients([3] * 20)
    assert draw_splits(groups, RULE, groups) == draw_splits(reversed(groups), RULE, groups)
    assert draw_splits(groups, RULE, groups) != draw_splits(groups, RULE.model_copy(update={"seed": 6}), groups)


@pytest.mark.parametrize("sizes", [[1, 1, 28], [50, 50, 50], [1, 1, 1], [90, 5, 5]])
def test_three_groups_give_every_split_one(sizes: list[int]) -> None:
    groups = patients(sizes)
    splits = draw_splits(groups, RULE, groups)
    assert set(splits.values()) == {"train", "validation", "test"}
    assert shared_groups(splits, groups) == set()


def test_a_pattern_in_the_rule_groups_by_name() -> None:
    rule = RULE.model_copy(update={"group_pattern": r"^(p\d+)_"})
    groups = patients([4] * 25)
    assert rule.group_of("p7_3") == "p7"
    assert rule.group_of("other") == "other"
    assert draw_splits(groups, rule) == draw_splits(groups, RULE, groups)


def test_strata_give_every_split_the_same_mix_of_small_and_large_objects() -> None:
    foreground = {name: 0.001 * 1.08**place for place, name in enumerate(NAMES)}
    means: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(20):
        rule = RULE.model_copy(update={"seed": seed})
        for stratified in (True, False):
            splits = draw_splits(NAMES, rule, foreground=foreground if stratified else None)
            assert [list(splits.values()).count(split) for split in ("validation", "test")] == [12, 12]
            means[stratified].append(np.mean([foreground[name] for name, split in splits.items() if split == "test"]))
    assert np.std(means[True]) < 0.5 * np.std(means[False])


def test_each_stratum_is_divided_as_the_whole() -> None:
    foreground = {name: float(place) for place, name in enumerate(sorted(NAMES))}
    splits = draw_splits(NAMES, RULE, foreground=foreground)
    fifths = [sorted(NAMES)[start : start + 16] for start in range(0, 80, 16)]
    for names in fifths:  # 16 images times 0.15 is 2.4
        assert 2 <= sum(splits[name] == "test" for name in names) <= 3
        assert 2 <= sum(splits[name] == "validation" for name in names) <= 3


def test_a_newcomer_joins_the_split_of_its_group() -> None:
    groups = {name: "p1" for name in ("a", "b", "c")} | {name: "p2" for name in ("x", "y", "z")}
    rule = RULE.model_copy(update={"kind": "listed"})
    assert complete_splits(["a", "b", "c"], {"a": "test"}, rule, groups) == dict.fromkeys("abc", "test")
    together = [set(complete_splits("xyz", {}, RULE.model_copy(update={"seed": s}), groups).values()) for s in range(9)]
    assert all(len(splits) == 1 for splits in together)
    assert len(set.union(*together)) > 1


def test_groups_are_written_and_read_back(tmp_path: Path) -> None:
    write_splits(tmp_path, {"a": "train", "b": "train", "c": "test"}, {"a": "p1", "b": "p1", "c": "c", "gone": "p1"})
    assert (tmp_path / "splits.csv").read_text().splitlines() == [
        "name,split,group",
        "a,train,p1",
        "b,train,p1",
        "c,test,",
    ]
    assert read_groups(tmp_path) == {"a": "p1", "b": "p1"}


def test_a_pattern_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        SplitRule(kind="random", seed=1, train=0.7, validation=0.15, test=0.15, group_pattern="(p")
