import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from naslora_core.data.curation.quarantine import names_of, quarantine, restore
from naslora_core.data.curation.quarantine_record import finish_interrupted, read_quarantine
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.data.dataset.splits import read_splits, write_splits
from naslora_core.errors import DataError

Write = Callable[..., Path]
TODAY = date(2026, 1, 31)


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_set_aside_is_no_longer_read_and_comes_back_as_it_was(write_dataset: Write) -> None:
    root = write_dataset(15)
    before, digest = content(root), fingerprint(read_dataset(root))
    split = read_splits(root)["disc_03"]
    quarantine(root, {"disc_03": "blurred", "disc_07": "twice"}, TODAY)
    assert "disc_03" not in {pair.name for pair in read_dataset(root).pairs}
    assert len(read_dataset(root).pairs) == 13
    assert (root / "quarantine" / "images" / "disc_03.jpg").is_file()
    assert (root / "quarantine" / "masks" / "disc_03.png").is_file()
    first = read_quarantine(root)[0]
    assert (first.name, first.reason, first.date, first.split) == ("disc_03", "blurred", "2026-01-31", split)
    restore(root, ["disc_03"])
    assert [one.name for one in read_quarantine(root)] == ["disc_07"]
    restore(root)
    assert content(root) == before
    assert fingerprint(read_dataset(root)) == digest
    assert not (root / "quarantine").exists()


def test_a_pair_without_partner_comes_back_without_one(write_dataset: Write) -> None:
    root = write_dataset(5)
    (root / "masks" / "disc_01.png").unlink()
    before = content(root)
    quarantine(root, {"disc_01": "no mask"}, TODAY)
    (root / "masks" / "disc_04.png").rename(root / "masks" / "disc_01.png")
    assert read_quarantine(root)[0].mask == ""
    (root / "masks" / "disc_01.png").rename(root / "masks" / "disc_04.png")
    restore(root)
    assert content(root) == before


def test_split_and_group_come_back_even_if_the_table_lost_them(write_dataset: Write) -> None:
    root = write_dataset(15)
    splits = read_splits(root)
    name = next(name for name, split in splits.items() if split == "test")
    write_splits(root, splits, {name: "p1"})
    digest = fingerprint(read_dataset(root))
    quarantine(root, {name: "x"}, TODAY)
    write_splits(root, {other: split for other, split in splits.items() if other != name})
    restore(root)
    assert fingerprint(read_dataset(root)) == digest


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("undo", [False, True])
def test_a_kill_at_any_moment_leaves_one_of_both_states_after_the_next_command(
    write_dataset: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undo: bool
) -> None:
    full = write_dataset(6)
    aside = tmp_path / "aside"
    shutil.copytree(full, aside)
    quarantine(aside, {"disc_01": "x", "disc_02": "y"}, TODAY)
    start, allowed = (aside, (content(aside), content(full))) if undo else (full, (content(full), content(aside)))
    move, seen = Path.replace, set()
    for fatal in range(20):
        root = tmp_path / f"{undo}{fatal}"
        shutil.copytree(start, root)
        calls = iter(range(99))

        def dying(self: Path, target: Path, calls=calls, fatal=fatal) -> Path:  # noqa: ANN001
            if next(calls) == fatal:
                raise Killed
            return move(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", dying)
            try:
                restore(root) if undo else quarantine(root, {"disc_01": "x", "disc_02": "y"}, TODAY)
                died = False
            except Killed:
                died = True
        finish_interrupted(root)
        assert content(root) in allowed
        seen.add(allowed.index(content(root)))
        if not died:
            break
    assert not died
    assert fatal > 4
    assert seen == {0, 1}


@pytest.mark.parametrize(
    ("prepare", "reasons", "message"),
    [
        ({}, {"disc_99": "x"}, "has no pair 'disc_99'"),
        ({"disc_01": "x"}, {"disc_01": "x"}, "in quarantine already"),
        ({}, {f"disc_{index:02d}": "x" for index in range(5)}, "no image left"),
    ],
)
def test_what_cannot_be_set_aside_is_refused_and_nothing_moves(
    write_dataset: Write, prepare: dict[str, str], reasons: dict[str, str], message: str
) -> None:
    root = write_dataset(5)
    if prepare:
        quarantine(root, prepare, TODAY)
    before = content(root)
    with pytest.raises(DataError, match=message):
        quarantine(root, {"disc_00": "first", **reasons}, TODAY)
    assert content(root) == before


def test_a_new_file_is_not_overwritten_by_the_old_one(write_dataset: Write) -> None:
    root = write_dataset(5)
    quarantine(root, {"disc_01": "x"}, TODAY)
    shutil.copy(root / "images" / "disc_02.jpg", root / "images" / "disc_01.jpeg")
    before = content(root)
    with pytest.raises(DataError, match=r"disc_01\.jpeg has taken the place"):
        restore(root)
    with pytest.raises(DataError, match="'disc_02' is not in quarantine; there are: disc_01"):
        restore(root, ["disc_02"])
    assert content(root) == before


def test_pairs_are_named_by_any_of_their_files(write_dataset: Write) -> None:
    dataset = read_dataset(write_dataset(5))
    files = ["disc_00", "images/disc_01.jpg", "masks/disc_02.png", str(dataset.root / "images" / "disc_03.jpg")]
    assert names_of(dataset, files) == ["disc_00", "disc_01", "disc_02", "disc_03"]
    with pytest.raises(DataError, match=r"no pair 'images/none\.jpg'"):
        names_of(dataset, ["images/none.jpg"])
