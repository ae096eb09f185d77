"""Commands that change a domain: quarantine, restore, split, pack, unpack."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from naslora_core.data.dataset.card import read_card
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.data.dataset.splits import read_splits
from naslora_core.errors import ConfigError, DataError

Data = Callable[..., Result]


def test_quarantine_takes_names_and_files_and_restore_brings_them_back(drawn_project: Path, data: Data) -> None:
    output = data("quarantine", "discs", "images/image_03.png", "image_04", "--reason", "blurred").stdout
    assert "image_03 (" in output
    assert "2 pairs set aside" in output
    assert "naslora data restore discs --all" in output
    assert "14 pairs" in data("list").stdout
    assert "quarantine image_03" in data("show", "discs").stdout
    assert "1 pairs are back" in data("restore", "discs", "masks/image_03.png").stdout
    assert "image_04" in data("restore", "discs", "--all").stdout
    assert len(read_dataset(drawn_project / "data" / "discs").pairs) == 16


def test_quarantine_failing_takes_what_the_gate_rejects_and_nothing_else(drawn_project: Path, data: Data) -> None:
    assert "nothing was moved" in data("quarantine", "discs", "--failing").stdout
    (drawn_project / "data/discs/masks/image_05.png").unlink()
    (drawn_project / "data/discs/images/image_09.png").write_bytes(b"broken")
    assert "naslora data quarantine discs --failing" in str(data("check", "discs", error=DataError).exception)
    output = data("quarantine", "discs", "--failing").stdout
    assert "2 pairs set aside" in output
    data("check", "discs")
    show = json.loads(data("show", "discs", "--json").stdout)
    assert [one["name"] for one in show["quarantined"]] == ["image_05", "image_09"]
    assert all(one["reason"] for one in show["quarantined"])


def test_split_tells_what_came_out_and_keeps_the_rule(drawn_project: Path, data: Data) -> None:
    output = data("split", "discs", "--seed", "4", "--test", "0.2", "--validation", "0.2", "--stratify").stdout
    assert "16 pairs (10 train, 3 validation, 3 test)" in output
    assert "discs: train " in output
    root = drawn_project / "data" / "discs"
    rule = read_card(root).split
    assert (rule.seed, rule.train, rule.stratify) == (4, 0.6, "foreground")
    first = read_splits(root)
    data("split", "discs")
    assert read_splits(root) == first
    data("split", "discs", "--no-stratify", "--group-pattern", r"_(\d)")
    assert len({pair.split for pair in read_dataset(root).pairs if pair.name.startswith("image_0")}) == 1
    assert read_card(root).split.stratify is None
    data("split", "discs", "--group-pattern", "")
    assert read_card(root).split.group_pattern is None


def test_a_packed_domain_is_listed_checked_and_shown_from_its_copy(drawn_project: Path, data: Data) -> None:
    before = data("show", "discs", "--json").stdout
    assert "1 shards" in data("pack", "discs").stdout
    assert data("show", "discs", "--json").stdout == before
    data("check", "discs")
    assert "Unpacked copy" in data("unpack", "discs").stdout
    assert "the shards are gone" in data("unpack", "discs", "--in-place").stdout
    assert data("show", "discs", "--json").stdout == before
    assert not (drawn_project / "data" / ".unpacked").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("quarantine", "discs"), ConfigError, "give the files to set aside, or --failing"),
        (("quarantine", "discs", "a", "--failing"), ConfigError, "give the files to set aside, or --failing"),
        (("quarantine", "discs", "none"), DataError, "no pair 'none'"),
        (("quarantine", "lungs", "a"), ConfigError, "unknown domain 'lungs'"),
        (("restore", "discs"), ConfigError, "give the files to bring back, or --all"),
        (("restore", "discs", "image_01"), DataError, "'image_01' is not in quarantine; there are: none"),
        (("split", "discs", "--test", "0.9", "--validation", "0.1"), ConfigError, "leave none to train on"),
        (("split", "discs", "--group-pattern", "("), ConfigError, "--group-pattern: '(' is not a regular expression"),
        (("unpack", "discs"), DataError, "is not packed"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(
    drawn_project: Path, data: Data, arguments: tuple[str, ...], error: type[DataError], message: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn_project.rglob("*")}
    assert message in str(data(*arguments, error=error).exception)
    assert {path: path.stat().st_mtime_ns for path in drawn_project.rglob("*")} == before
