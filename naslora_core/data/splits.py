"""Who trains, who validates, who tests: a division that stays when images are added."""

import csv
import difflib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from naslora_core.data.card import SplitRule
from naslora_core.errors import DataError
from naslora_core.files import atomic_file

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SPLITS_FILE = "splits.csv"


def draw_splits(names: Iterable[str], rule: SplitRule) -> dict[str, str]:
    """Divide `names` in the exact proportions of `rule`, by a seeded permutation of the sorted names.

    A split with a share above zero gets at least one name where there are names for all three.
    """
    ordered = sorted(names)
    count = len(ordered)
    least = 1 if count >= len(SPLITS) else 0
    validation = max(round(count * rule.validation), least if rule.validation else 0)
    test = max(round(count * rule.test), least if rule.test else 0)
    validation = min(validation, count)
    test = min(test, count - validation)
    order = np.random.default_rng(rule.seed).permutation(count)
    splits = [VALIDATION] * validation + [TEST] * test + [TRAIN] * (count - validation - test)
    drawn = {ordered[place]: split for place, split in zip(order, splits, strict=True)}
    return dict(sorted(drawn.items()))


def assign_splits(names: Iterable[str], listed: Mapping[str, str], rule: SplitRule) -> dict[str, str]:
    """Give every name its split: the listed one, else one that depends on nothing but the name and the rule.

    So adding or removing images never moves another image.
    """
    return {name: listed.get(name) or _split_of_newcomer(name, rule) for name in names}


def read_splits(root: Path) -> dict[str, str]:
    """Read the split of every name in `splits.csv` of the dataset in `root`; empty if there is none.

    Raises:
        DataError: for a wrong header, an unknown split or a name that is listed twice.
    """
    return {name: row["split"] for name, row in _read_rows(root).items()}


def read_groups(root: Path) -> dict[str, str]:
    """Read the optional third column of `splits.csv`, group; names without one are left out.

    Raises:
        DataError: as `read_splits`.
    """
    return {name: row["group"] for name, row in _read_rows(root).items() if row.get("group")}


def write_splits(root: Path, splits: Mapping[str, str]) -> None:
    """Write `splits.csv` of the dataset in `root`, sorted by name, atomically."""
    with (
        atomic_file(root / SPLITS_FILE) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", "split"])
        writer.writerows(sorted(splits.items()))


def _read_rows(root: Path) -> dict[str, dict[str, str]]:
    path = root / SPLITS_FILE
    if not path.is_file():
        return {}
    rows: dict[str, dict[str, str]] = {}
    try:
        # utf-8-sig: spreadsheet programs put a byte order mark before the header.
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if reader.fieldnames not in (["name", "split"], ["name", "split", "group"]):
                raise DataError(
                    f"{path} begins with {reader.fieldnames}; the first line must be name,split or name,split,group"
                )
            for row in reader:
                _check(row, rows, f"{path} line {reader.line_num}")
                rows[row["name"]] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}; correct it") from error
    return rows


def _check(row: dict[str, str], earlier: Mapping[str, dict[str, str]], place: str) -> None:
    name, split = row["name"], row["split"]
    if split not in SPLITS:
        meant = difflib.get_close_matches(split or "", SPLITS, n=1)
        hint = f"did you mean '{meant[0]}'? " if meant else ""
        raise DataError(f"{place}: '{split}' is not a split; {hint}use {', '.join(SPLITS)}")
    if name in earlier:
        raise DataError(f"{place}: '{name}' is listed a second time; keep one of the lines")


def _split_of_newcomer(name: str, rule: SplitRule) -> str:
    if rule.kind == "listed":
        return TRAIN
    digest = hashlib.sha256(f"{rule.seed}:{name}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < rule.train:
        return TRAIN
    return VALIDATION if place < rule.train + rule.validation else TEST
