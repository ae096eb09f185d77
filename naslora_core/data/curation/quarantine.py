"""Move pairs into quarantine, a folder of the dataset that no stage reads, and restore them."""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from naslora_core.data.curation.pack import require_unpacked
from naslora_core.data.curation.quarantine_record import (
    QUARANTINE_FOLDER,
    Quarantined,
    apply_change,
    finish_interrupted,
    read_quarantine,
)
from naslora_core.data.dataset.card import read_card
from naslora_core.data.dataset.dataset import Dataset, read_dataset
from naslora_core.data.dataset.splits import complete_splits, read_groups, read_splits
from naslora_core.errors import DataError


def quarantine(root: Path, reasons: Mapping[str, str], today: date) -> tuple[Quarantined, ...]:
    """Move pairs into quarantine, and record what `restore` needs.

    Interrupted, it leaves a journal, by which `finish_interrupted` and every later change complete it.

    Args:
        root: the dataset's folder.
        reasons: by name of the pair.
        today: goes into the record.

    Returns:
        The quarantined pairs.

    Raises:
        DataError: if a name is unknown or in quarantine already, or no image would be left.
    """
    require_unpacked(root)
    finish_interrupted(root)
    dataset, held = read_dataset(root), read_quarantine(root)
    pairs = {pair.name: pair for pair in dataset.pairs}
    for name in reasons:
        if name in {one.name for one in held}:
            raise DataError(f"'{name}' is in quarantine already; restore that one first")
        if name not in pairs:
            raise DataError(f"{root} has no pair '{name}'; names are those of files without extension")
    if not any(pair.image for pair in dataset.pairs if pair.name not in reasons):
        raise DataError(f"{root} would have no image left; correct the files instead")
    chosen = []
    for name, reason in sorted(reasons.items()):
        pair = pairs[name]
        group = "" if pair.group == name else pair.group
        files = dataset.relative(pair.image), dataset.relative(pair.mask)
        chosen.append(Quarantined(name, reason, today.isoformat(), pair.split, group, *files))
    moves = [(file, f"{QUARANTINE_FOLDER}/{file}") for file in _files(chosen)]
    apply_change(root, moves, [*held, *chosen], {})
    return tuple(chosen)


def restore(root: Path, names: Iterable[str] | None = None) -> tuple[Quarantined, ...]:
    """Move pairs out of quarantine to their earlier paths, with their split and group.

    Args:
        root: the dataset's folder.
        names: which pairs; None is all.

    Raises:
        DataError: if a name is not in quarantine, or its place is taken by another file.
    """
    require_unpacked(root)
    finish_interrupted(root)
    held = {one.name: one for one in read_quarantine(root)}
    wanted = sorted(held) if names is None else sorted(set(names))
    for name in wanted:
        if name not in held:
            raise DataError(f"'{name}' is not in quarantine; there are: {', '.join(held) or 'none'}")
    chosen = [held.pop(name) for name in wanted]
    for file in _files(chosen):
        stem, folder = Path(file).stem, root / Path(file).parent
        if taken := [path for path in folder.glob("*") if path.stem == stem]:
            raise DataError(f"{taken[0]} has taken the place of the file in quarantine; remove one of them")
    moves = [(f"{QUARANTINE_FOLDER}/{file}", file) for file in _files(chosen)]
    apply_change(root, moves, list(held.values()), _unlisted(root, chosen))
    return tuple(chosen)


def names_of(dataset: Dataset, files: Iterable[str]) -> list[str]:
    """Return the names of the pairs that arguments mean: a name, "images/x.jpg" or any other path of a file.

    Raises:
        DataError: if there is no such pair.
    """
    known = {pair.name for pair in dataset.pairs} | {one.name for one in read_quarantine(dataset.root)}
    names = []
    for file in files:
        name = file if file in known else Path(file).stem
        if name not in known:
            raise DataError(f"{dataset.root} has no pair '{file}'; give a name, or a file such as images/x.jpg")
        names.append(name)
    return names


def _files(pairs: Iterable[Quarantined]) -> list[str]:
    return [file for pair in pairs for file in (pair.image, pair.mask) if file]


def _unlisted(root: Path, pairs: Iterable[Quarantined]) -> dict[str, Quarantined]:
    """Return the pairs whose split is no longer in splits.csv and would be another one by group and rule."""
    rule, splits, groups = read_card(root).split, read_splits(root), read_groups(root)
    lost = {}
    for pair in pairs:
        known = groups | ({pair.name: pair.group} if pair.group else {})
        if pair.name not in splits and complete_splits([pair.name], splits, rule, known)[pair.name] != pair.split:
            lost[pair.name] = pair
    return lost
