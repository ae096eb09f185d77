"""Training, validation and test splits that do not change when images are added."""

import csv
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import SplitRule
from naslora_core.data.dataset.names import one_form
from naslora_core.errors import DataError
from naslora_core.files import atomic_file

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SPLITS_FILE = "splits.csv"
STRATA = 5


def draw_splits(
    names: Iterable[str],
    rule: SplitRule,
    groups: Mapping[str, str] | None = None,
    foreground: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """Split `names` in the proportions of `rule`, as near as whole groups allow.

    The groups are put into a seeded random order. Validation takes those that fit into its share, and one more
    if that brings it nearer; then testing does the same, and the rest is for training. A split with a share
    above zero gets at least one group where there are three.

    Args:
        names: all images; their order does not matter.
        rule: shares and seed.
        groups: by name; images of one group are not separated; without an entry a name is in the group that
            `rule.group_of` finds.
        foreground: by name, the share of the image that is foreground. If given, each of `STRATA` quantiles
            of the groups' mean share is split on its own, so that all splits have like mixes.
    """
    members: dict[str, list[str]] = {}
    for name in sorted(names):
        members.setdefault((groups or {}).get(name) or rule.group_of(name), []).append(name)
    ordered = sorted(members)
    shuffled = [ordered[place] for place in np.random.default_rng(rule.seed).permutation(len(ordered))]
    sizes = {group: len(members[group]) for group in shuffled}
    total, least = sum(sizes.values()), 1 if len(ordered) >= len(SPLITS) else 0
    validation = max(round(total * rule.validation), least if rule.validation else 0)
    wanted = {VALIDATION: min(validation, total)}
    test = max(round(total * rule.test), least if rule.test else 0)
    wanted[TEST] = min(test, total - wanted[VALIDATION])
    drawn: dict[str, list[str]] = {split: [] for split in SPLITS}
    seen = 0
    for stratum in _strata(shuffled, members, foreground):
        seen += sum(sizes[group] for group in stratum)
        for split, count in wanted.items():
            # Towards the total so far: what one stratum could not split evenly, the next one makes up for.
            room = round(count * seen / total) - sum(sizes[group] for group in drawn[split])
            taken = set(chosen := _fill(stratum, sizes, room))
            drawn[split] += chosen
            stratum = [group for group in stratum if group not in taken]
        drawn[TRAIN] += stratum
    _leave_none_empty(drawn, sizes, rule)
    splits = {name: split for split, found in drawn.items() for group in found for name in members[group]}
    return dict(sorted(splits.items()))


def complete_splits(
    names: Iterable[str], listed: Mapping[str, str], rule: SplitRule, groups: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the split of every name: the listed one, else that of its group, else one by the rule alone.

    So adding or removing images never moves another image, and a new image never separates a group.

    Args:
        names: all images.
        listed: splits that are decided, as from splits.csv.
        rule: for new images whose group has no listed image; a hash of their group decides.
        groups: by name; without an entry a name is in the group that `rule.group_of` finds.
    """
    known = groups or {}
    of_group: dict[str, str] = {}
    for name in sorted(listed):
        of_group.setdefault(known.get(name) or rule.group_of(name), listed[name])
    splits = {}
    for name in names:
        group = known.get(name) or rule.group_of(name)
        splits[name] = listed.get(name) or of_group.get(group) or _split_of_new_image(group, rule)
    return splits


def read_splits(root: Path) -> dict[str, str]:
    """Read the split of every name in `splits.csv` of the dataset in `root`; empty if there is none.

    Raises:
        DataError: for a wrong header, an unknown split or a name that is listed twice.
    """
    return read_splits_and_groups(root)[0]


def read_splits_and_groups(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return what `read_splits` and `read_groups` do, of a file that is read once.

    Raises:
        DataError: as `read_splits`.
    """
    rows = _read_rows(root)
    groups = {name: row["group"] for name, row in rows.items() if row.get("group")}
    return {name: row["split"] for name, row in rows.items()}, groups


def read_groups(root: Path) -> dict[str, str]:
    """Read the optional third column of `splits.csv`, group; names without one are left out.

    Raises:
        DataError: as `read_splits`.
    """
    return read_splits_and_groups(root)[1]


def write_splits(root: Path, splits: Mapping[str, str], groups: Mapping[str, str] | None = None) -> None:
    """Write `splits.csv` of the dataset in `root`, sorted by name, atomically.

    Args:
        root: the dataset's folder.
        splits: by name.
        groups: by name; the column is left out if every image is a group of its own name.
    """
    named = {name: group for name, group in (groups or {}).items() if name in splits and group != name}
    header = ["name", "split", "group"] if named else ["name", "split"]
    with (
        atomic_file(root / SPLITS_FILE) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([name, split, named.get(name, "")][: len(header)] for name, split in sorted(splits.items()))


def _strata(
    shuffled: Sequence[str], members: Mapping[str, Sequence[str]], foreground: Mapping[str, float] | None
) -> list[list[str]]:
    """Return the groups by quantile of their mean foreground share, in each as shuffled; one stratum without it."""
    if foreground is None:
        return [list(shuffled)]
    share = {group: sum(foreground[name] for name in names) / len(names) for group, names in members.items()}
    ranked = sorted(members, key=lambda group: (share[group], group))
    stratum = {group: rank * STRATA // len(ranked) for rank, group in enumerate(ranked)}
    return [[group for group in shuffled if stratum[group] == number] for number in range(STRATA)]


def _fill(groups: Sequence[str], sizes: Mapping[str, int], room: int) -> list[str]:
    """Return groups whose sizes add up to about `room`: each that fits, in order, and one more if that is nearer."""
    taken, rest = [], []
    for group in groups:
        if sizes[group] <= room:
            taken.append(group)
            room -= sizes[group]
        else:
            rest.append(group)
    rest = [group for group in rest if abs(room - sizes[group]) < room]
    return taken + ([min(rest, key=lambda group: abs(room - sizes[group]))] if rest else [])


def _leave_none_empty(drawn: dict[str, list[str]], sizes: Mapping[str, int], rule: SplitRule) -> None:
    """Move the smallest group of the split with most groups into each empty split; needs three groups."""
    shares = {TRAIN: rule.train, VALIDATION: rule.validation, TEST: rule.test}
    for split in SPLITS:
        if shares[split] and not drawn[split] and len(sizes) >= len(SPLITS):
            richest = max(drawn.values(), key=len)
            smallest = min(richest, key=lambda group: sizes[group])
            richest.remove(smallest)
            drawn[split].append(smallest)


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
                row["name"] = one_form(row["name"] or "")
                if row["split"] not in SPLITS or row["name"] in rows:
                    raise DataError(f"{path} line {reader.line_num}: {_fault(row['name'], row['split'])}")
                rows[row["name"]] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}; correct it") from error
    return rows


def _fault(name: str, split: str | None) -> str:
    """Return what is wrong with a line: its split, or else that its name is listed already."""
    if split in SPLITS:
        return f"'{name}' is listed a second time; keep one of the lines"
    meant = difflib.get_close_matches(split or "", SPLITS, n=1)
    hint = f"did you mean '{meant[0]}'? " if meant else ""
    return f"'{split}' is not a split; {hint}use {', '.join(SPLITS)}"


def _split_of_new_image(group: str, rule: SplitRule) -> str:
    if rule.kind == "listed":
        return TRAIN
    digest = hashlib.sha256(f"{rule.seed}:{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < rule.train:
        return TRAIN
    return VALIDATION if place < rule.train + rule.validation else TEST
