"""What was measured once is not opened again, and what other processes measure is the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.quality import measure_file, table
from naslora_core.quality.measure import measure_pairs
from naslora_core.quality.table import read_reusable, write_table
from tests.naslora_core.quality.corpus import draw, save
from tests.naslora_core.quality.flawless import CARD, write_pairs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "corpus", [f"pair_{index:02d}" for index in range(6)])
    (tmp_path / "corpus/masks/pair_03.png").unlink()
    (tmp_path / "corpus/images/pair_04.png").write_bytes(b"broken")
    return tmp_path / "corpus"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the name of every file that is decoded."""
    names: list[str] = []

    def recorded(decode: Callable[..., Any]) -> Callable[..., Any]:
        def run(path: Path, *rest: Any, **settings: Any) -> Any:
            names.append(f"{path.parent.name}/{path.name}")
            return decode(path, *rest, **settings)

        return run

    for name in ("load_picture", "open_image"):
        monkeypatch.setattr(measure_file, name, recorded(getattr(measure_file, name)))
    return names


def written(measured: pd.DataFrame, folder: Path) -> bytes:
    write_table(folder / "written.parquet", measured, CARD)
    return (folder / "written.parquet").read_bytes()


def measured_again(root: Path, cache: Path) -> pd.DataFrame:
    dataset = read_dataset(root)
    return measure_pairs(dataset, earlier=read_reusable(cache, dataset.card))


def test_a_second_check_opens_no_unchanged_file(root: Path, tmp_path: Path, opened: list[str]) -> None:
    first = measure_pairs(read_dataset(root))
    assert len(opened) == 11
    write_table(tmp_path / "cache.parquet", first, CARD)
    opened.clear()
    again = measured_again(root, tmp_path / "cache.parquet")
    assert opened == []
    assert written(again, tmp_path) == written(first, tmp_path)


def test_a_file_with_other_bytes_is_measured_again_and_a_new_name_is_not(
    root: Path, tmp_path: Path, opened: list[str]
) -> None:
    write_table(tmp_path / "cache.parquet", measure_pairs(read_dataset(root)), CARD)
    opened.clear()
    save(root / "images/pair_01.png", draw(9))
    (root / "images/pair_02.png").rename(root / "images/renamed.png")
    (root / "masks/pair_02.png").rename(root / "masks/renamed.png")
    again = measured_again(root, tmp_path / "cache.parquet")
    assert opened == ["images/pair_01.png"]
    assert written(again, tmp_path) == written(measure_pairs(read_dataset(root)), tmp_path)


def test_a_byte_that_spoils_a_file_is_found(root: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "cache.parquet", measure_pairs(read_dataset(root)), CARD)
    content = bytearray((root / "masks/pair_00.png").read_bytes())
    content[-20] ^= 1
    (root / "masks/pair_00.png").write_bytes(content)
    states = measured_again(root, tmp_path / "cache.parquet").set_index("name")["mask_state"]
    assert {name for name, state in states.items() if state == "unreadable"} == {"pair_00"}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def spoil_the_columns(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    path.write_bytes(content)


def take_away(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, spoil_the_columns, take_away])
def test_a_damaged_table_is_not_used(
    damage: Callable[[Path], None], root: Path, tmp_path: Path, opened: list[str]
) -> None:
    cache, dataset = tmp_path / "cache.parquet", read_dataset(root)
    write_table(cache, measure_pairs(dataset), CARD)
    assert read_reusable(cache, CARD) is not None
    damage(cache)
    opened.clear()
    measured_again(root, cache)
    assert len(opened) == 11


def test_a_table_of_another_version_or_encoding_is_not_used(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache.parquet"
    write_table(cache, measure_pairs(read_dataset(root)), CARD)
    assert read_reusable(cache, CARD) is not None
    assert read_reusable(cache, CARD.model_copy(update={"mask_threshold": 7})) is None
    assert read_reusable(cache, CARD.model_copy(update={"title": "Another"})) is not None
    assert read_reusable(cache, CARD.model_copy(update={"mask_ignore": (255,)})) is None
    assert read_reusable(cache, CARD, input_px=64) is None, "at another input size other objects vanish"
    monkeypatch.setattr(table, "_code", lambda: "another version")
    assert read_reusable(cache, CARD) is None


def test_processes_make_the_same_table_to_the_byte(root: Path, tmp_path: Path) -> None:
    dataset = read_dataset(root)
    alone, together = (written(measure_pairs(dataset, workers=workers), tmp_path) for workers in (1, 2))
    assert alone == together
