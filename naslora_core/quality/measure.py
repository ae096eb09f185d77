"""Measure all files of a dataset into a table, one row a pair; unchanged files are not measured again."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslora_core.data.dataset.dataset import IMAGES_FOLDER, MASKS_FOLDER, Dataset, Pair
from naslora_core.data.dataset.digests import file_digests
from naslora_core.data.dataset.duplicates import use_one_thread
from naslora_core.parallel import parallel_map, worker_count
from naslora_core.progress import Progress, silent
from naslora_core.quality.measure_file import MISSING, Kind, measure_file
from naslora_core.quality.relations import add_relations
from naslora_core.quality.split_checks import add_split_columns
from naslora_core.quality.table import content_columns

KINDS: tuple[Kind, ...] = ("image", "mask")
# Starting a process and its imports, the caller's included, costs about as much as measuring these many files here.
_WORTH_A_PROCESS = 4000
_LISTED = ["name", "split", "group", *(f"{kind}{what}" for kind in KINDS for what in ("", "_sha256", "_link"))]
# At most so many are sent to a process together: what is not yet sent takes a kilobyte for each such part.
_FILES_AT_ONCE = 64
# A row takes many times as much memory as a line of a table.
_ROWS_AT_ONCE = 2048


def measure_pairs(
    dataset: Dataset,
    progress: Progress = silent,
    near_duplicate_bits: int = 0,
    earlier: pd.DataFrame | None = None,
    workers: int | None = None,
    input_px: int | None = None,
    digests: Mapping[Path, str] | None = None,
) -> pd.DataFrame:
    """Measure every file of a dataset, in parallel where there are many.

    Args:
        dataset: the dataset.
        progress: called after each file.
        near_duplicate_bits: by how many bits the perceptual hashes of two copies may differ.
        earlier: a table that the same code made with the same mask encoding and `input_px`; files whose bytes are in it
            are not opened again.
        workers: processes; None lets the number of files and of processors decide.
        input_px: side of the model's input, at which objects may vanish; None does not look for those.
        digests: what `file_digests` says of the files, to save reading them once more.

    Returns:
        One row a pair, sorted by name, with the columns that `quality.table` explains.
    """
    digests = file_digests(dataset) if digests is None else digests
    root = dataset.root.resolve()
    listed = pd.DataFrame([_list(pair, root, digests) for pair in dataset.pairs], columns=_LISTED)
    parts = {kind: _reuse(listed, kind, earlier, content_columns(kind, dataset.card)) for kind in KINDS}
    jobs: list[tuple[int, Kind, Path]] = []
    for kind in KINDS:
        for row in np.flatnonzero(parts[kind][f"{kind}_state"].isna()).tolist():
            path = dataset.pairs[row].image if kind == "image" else dataset.pairs[row].mask
            assert path is not None
            jobs.append((row, kind, path))
    found: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    tables: dict[Kind, list[pd.DataFrame]] = {kind: [] for kind in KINDS}
    work = partial(measure_file, card=dataset.card, input_px=input_px)
    workers = workers or worker_count((path for _, _, path in jobs), _WORTH_A_PROCESS)
    doing = f"measures files of '{dataset.card.name}'"
    # Of few large ones every process shall have some.
    at_once = max(1, min(_FILES_AT_ONCE, len(jobs) // (4 * workers)))
    with parallel_map(work, workers, doing, use_one_thread, at_once) as measure:
        measured = measure([(kind, path) for _, kind, path in jobs])
        for done, ((row, kind, _), columns) in enumerate(zip(jobs, measured, strict=True), start=1):
            found[kind].append({"row": row, **columns})
            if len(found[kind]) == _ROWS_AT_ONCE:
                tables[kind].append(_as_table(found[kind], parts[kind]))
                found[kind] = []
            progress(done, len(jobs), f"check {dataset.card.name}")
    for kind, rows in found.items():
        parts[kind] = _fill(parts[kind], [*tables[kind], *([_as_table(rows, parts[kind])] if rows else [])])
    table = pd.concat([listed, *parts.values()], axis=1)
    return add_split_columns(
        add_relations(table, near_duplicate_bits, dataset.card.accepted_copies), dataset.card.classes
    )


def _list(pair: Pair, root: Path, digests: Mapping[Path, str]) -> tuple[str, ...]:
    """Return what a pair has in the columns `_LISTED`."""
    row: tuple[str, ...] = (pair.name, pair.split, pair.group)
    for folder, path in ((IMAGES_FOLDER, pair.image), (MASKS_FOLDER, pair.mask)):
        row += ("", "", "") if path is None else (f"{folder}/{path.name}", digests[path], _leads_out(path, root))
    return row


def _leads_out(path: Path, root: Path) -> str:
    if not path.is_symlink():
        return ""
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # A circle of links; opening it will fail.
        return ""
    # DVC itself may link to its cache, whose folders have this name wherever it lies.
    inside = target.is_relative_to(root) or "/files/md5/" in target.as_posix()
    return "" if inside else str(target)


def _reuse(listed: pd.DataFrame, kind: Kind, earlier: pd.DataFrame | None, columns: dict[str, str]) -> pd.DataFrame:
    """Return the columns of one kind, filled for missing files and for bytes that were measured earlier."""
    key = f"{kind}_sha256"
    if earlier is None or not {key, *columns} <= set(earlier):
        part = pd.DataFrame(index=listed.index, columns=list(columns))
    else:
        known = earlier[earlier[key] != ""].drop_duplicates(key).set_index(key)[list(columns)]
        part = known.reindex(listed[key]).set_index(listed.index)
    part = part.astype(columns)
    absent = listed[kind] == ""
    part.loc[absent, f"{kind}_state"] = MISSING
    part.loc[absent, f"{kind}_problem"] = f"there is no {kind} of this name"
    return part


def _as_table(rows: list[dict[str, Any]], part: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(rows).set_index("row").reindex(columns=part.columns).astype(part.dtypes)


def _fill(part: pd.DataFrame, measured: list[pd.DataFrame]) -> pd.DataFrame:
    if not measured:
        return part
    new = pd.concat(measured)
    return pd.concat([part.drop(index=new.index), new]).sort_index()
