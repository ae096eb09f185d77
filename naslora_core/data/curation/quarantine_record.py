"""The quarantine's record, and the journal by which an interrupted change is completed."""

import contextlib
import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pydantic import BaseModel

from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER
from naslora_core.data.dataset.splits import read_groups, read_splits, write_splits
from naslora_core.errors import DataError
from naslora_core.files import atomic_file, write_json
from naslora_core.reading import read_object

QUARANTINE_FOLDER, RECORD_FILE = "quarantine", "quarantine.csv"
# The journal of a change: written before the first file moves, removed after the last.
_JOURNAL = "unfinished.json"
_PLACES = tuple(f"{above}{kind}" for above in ("", f"{QUARANTINE_FOLDER}/") for kind in (IMAGES_FOLDER, MASKS_FOLDER))


@dataclass(frozen=True)
class Quarantined:
    """A quarantined pair; `image` and `mask` are its files as "images/x.jpg", "" where there was none."""

    name: str
    reason: str
    date: str
    split: str
    group: str
    image: str
    mask: str


class Plan(BaseModel):
    """The journal of one change: files to move within the dataset's folder, and the records after it."""

    moves: tuple[tuple[str, str], ...]
    held: tuple[Quarantined, ...]
    splits: dict[str, str]
    groups: dict[str, str]


def read_quarantine(root: Path) -> tuple[Quarantined, ...]:
    """Return the quarantined pairs, sorted by name.

    Raises:
        DataError: if the record is damaged.
    """
    path = root / QUARANTINE_FOLDER / RECORD_FILE
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        if any(value is None for row in rows for value in row.values()):
            raise ValueError("a line has fewer cells than the header")
        held = tuple(Quarantined(**row) for row in rows)
        _check_places([file for one in held for file in (one.image, one.mask) if file], (IMAGES_FOLDER, MASKS_FOLDER))
        return held
    except (TypeError, ValueError, csv.Error) as error:
        columns = ",".join(field.name for field in fields(Quarantined))
        raise DataError(f"{path} is damaged ({error}); its columns are {columns}. Correct it") from error


def apply_change(
    root: Path, moves: list[tuple[str, str]], held: list[Quarantined], missing: dict[str, Quarantined]
) -> None:
    """Move files and write `held` as the record; if interrupted, `finish_interrupted` completes it.

    Args:
        root: the dataset's folder.
        moves: from where to where, below `root`.
        held: all that is in quarantine after it.
        missing: pairs whose split and group have to be written into splits.csv again.
    """
    plan = Plan(
        moves=tuple(moves),
        held=tuple(sorted(held, key=lambda one: one.name)),
        splits={name: pair.split for name, pair in missing.items()},
        groups={name: pair.group for name, pair in missing.items() if pair.group},
    )
    write_json(root / QUARANTINE_FOLDER / _JOURNAL, plan.model_dump(mode="json"))
    _carry_out(root, plan)


def finish_interrupted(root: Path) -> bool:
    """Complete an interrupted quarantine or restore; return whether there was one.

    Raises:
        DataError: if its journal is damaged, or would move a file from or to anywhere else.
    """
    journal = root / QUARANTINE_FOLDER / _JOURNAL
    if not journal.is_file():
        return False
    try:
        plan = Plan.model_validate(read_object(journal))
        _check_places([place for move in plan.moves for place in move], _PLACES)
    except ValueError as error:
        raise DataError(f"{journal} is damaged ({error}), and nothing was moved; delete the file") from error
    _carry_out(root, plan)
    return True


def _check_places(places: Iterable[str], folders: tuple[str, ...]) -> None:
    """Raise ValueError for a path that is no file of one of `folders`: a dataset may come from somebody else."""
    for place in places:
        folder, _, name = place.rpartition("/")
        if folder not in folders or not name.isprintable() or name in ("", "..") or "\\" in name:
            raise ValueError(f"{place!r} is not in {', '.join(folders)}")


def _carry_out(root: Path, plan: Plan) -> None:
    """Execute the journal; each of its steps may have been done before."""
    for source, target in plan.moves:
        if (root / source).exists() or (root / source).is_symlink():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            (root / source).replace(root / target)
    if plan.splits:
        write_splits(root, read_splits(root) | plan.splits, read_groups(root) | plan.groups)
    folder = root / QUARANTINE_FOLDER
    if plan.held:
        _write_record(folder / RECORD_FILE, map(asdict, plan.held))
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
