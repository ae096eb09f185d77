"""What is in quarantine, and the journal that makes a change of it whole: a kill never leaves half of one."""

import contextlib
import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from naslora_core.data.dataset import IMAGES_FOLDER, MASKS_FOLDER
from naslora_core.data.splits import read_groups, read_splits, write_splits
from naslora_core.errors import DataError
from naslora_core.files import atomic_file, write_json

QUARANTINE_FOLDER, RECORD_FILE = "quarantine", "quarantine.csv"
# What has been begun: written before the first file moves, removed after the last.
_JOURNAL = "unfinished.json"


@dataclass(frozen=True)
class Quarantined:
    """A pair that was set aside; `image` and `mask` are its files as "images/x.jpg", "" where there was none."""

    name: str
    reason: str
    date: str
    split: str
    group: str
    image: str
    mask: str


def read_quarantine(root: Path) -> tuple[Quarantined, ...]:
    """Return what is in quarantine, sorted by name.

    Raises:
        DataError: if the record is damaged.
    """
    path = root / QUARANTINE_FOLDER / RECORD_FILE
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return tuple(Quarantined(**row) for row in csv.DictReader(stream))
    except (TypeError, UnicodeDecodeError, csv.Error) as error:
        columns = ",".join(field.name for field in fields(Quarantined))
        raise DataError(f"{path} is damaged ({error}); its columns are {columns}. Correct it") from error


def change(root: Path, moves: list[tuple[str, str]], held: list[Quarantined], missing: dict[str, Quarantined]) -> None:
    """Move files and write the record that `held` then is, so that an interruption is made good by `finish`.

    Args:
        root: the dataset's folder.
        moves: from where to where, below `root`.
        held: all that is in quarantine after it.
        missing: pairs whose split and group have to be written into splits.csv again.
    """
    plan = {
        "moves": moves,
        "held": [asdict(one) for one in sorted(held, key=lambda one: one.name)],
        "splits": {name: pair.split for name, pair in missing.items()},
        "groups": {name: pair.group for name, pair in missing.items() if pair.group},
    }
    write_json(root / QUARANTINE_FOLDER / _JOURNAL, plan)
    _carry_out(root, plan)


def finish(root: Path) -> bool:
    """Finish what an interrupted quarantine or restore began; says whether there was anything to do."""
    journal = root / QUARANTINE_FOLDER / _JOURNAL
    if not journal.is_file():
        return False
    _carry_out(root, json.loads(journal.read_text(encoding="utf-8")))
    return True


def _carry_out(root: Path, plan: Mapping[str, Any]) -> None:
    """Do what the journal says; each step may have been done before."""
    for source, target in plan["moves"]:
        if (root / source).exists() or (root / source).is_symlink():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            (root / source).replace(root / target)
    if plan["splits"]:
        write_splits(root, read_splits(root) | plan["splits"], read_groups(root) | plan["groups"])
    folder = root / QUARANTINE_FOLDER
    if plan["held"]:
        _write_record(folder / RECORD_FILE, plan["held"])
    else:
        (folder / RECORD_FILE).unlink(missing_ok=True)
    (folder / _JOURNAL).unlink()
    for emptied in (folder / IMAGES_FOLDER, folder / MASKS_FOLDER, folder):
        with contextlib.suppress(OSError):  # somebody else's file lies in it
            emptied.rmdir()


def _write_record(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Quarantined)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
