"""The gate's entry point: measure a dataset, run the checks, return the verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from naslora_core.config import QualityConfig
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.dataset import Dataset, fingerprint, read_dataset
from naslora_core.data.dataset.digests import file_digests
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.progress import Progress, silent
from naslora_core.quality.checks import Check
from naslora_core.quality.drift import find_drift
from naslora_core.quality.engine import CheckResult, run_suite
from naslora_core.quality.expectations import build_suite
from naslora_core.quality.measure import measure_pairs
from naslora_core.quality.table import read_reusable, write_table
from naslora_core.quality.unknown_files import find_unknown_files
from naslora_core.quality.verdict import Failure, FileProblem, Verdict


def check_dataset(
    data: Path | Dataset,
    quality: QualityConfig,
    progress: Progress = silent,
    cache: Path | None = None,
    reference: Path | None = None,
    docs: Path | None = None,
    input_px: int | None = None,
    remembered: Path | None = None,
) -> tuple[Verdict, pd.DataFrame]:
    """Measure and check a dataset; changes nothing in it.

    Args:
        data: its folder, or what `read_dataset` has found there.
        quality: what is accepted.
        progress: called after each measured file.
        cache: measurements of an earlier call, which save measuring unchanged files; written anew.
        reference: measurements of the data that the model in service was trained on, to compare with.
        docs: an empty folder for the Data Docs of Great Expectations; None writes none.
        input_px: side of the model's input, which the masks are resized to; None does not ask what vanishes there.
        remembered: digests of an earlier call, which save reading unchanged files; written anew.

    Returns:
        The verdict, and the table it was made from (see `quality.table`).

    Raises:
        DataError: if there is no dataset to judge: no card, no image, a wrong splits.csv.
    """
    dataset = data if isinstance(data, Dataset) else read_dataset(data)
    digests = file_digests(dataset, remembered)
    table = measure_pairs(
        dataset,
        progress,
        quality.near_duplicate_bits,
        # No name is given to it here, as it may be large, and is of no use afterwards.
        read_reusable(cache, dataset.card, input_px) if cache else None,
        input_px=input_px,
        digests=digests,
    )
    if cache:
        write_table(cache, table, dataset.card, input_px)
    verdict = judge(table, build_suite(quality, dataset.card, input_px), dataset.card, docs)
    drift, compared_with = find_drift(table, reference, quality)
    found = {"dataset_sha256": fingerprint(dataset, digests), "compared_with": compared_with}
    return verdict.model_copy(
        update={**found, "failures": (*verdict.failures, *find_unknown_files(dataset), *drift)}
    ), table


def judge(table: pd.DataFrame, suite: Sequence[Check], card: DatasetCard, docs: Path | None = None) -> Verdict:
    """Check a table of measurements, and return the verdict.

    It passes if every check of the suite was made and none of severity critical failed. A suite without
    checks, a check that got lost or one that could not be made (a missing column) is a critical failure.
    """
    results = run_suite(table, suite, docs) if suite else []
    made = [result for result in results if not result.error]
    # The overall flag of the engine does not know severities.
    failures = [_failure(result, table) for result in made if not result.success]
    failures += _not_made(suite, results)
    order = {check.name: place for place, check in enumerate(suite)}
    failures.sort(key=lambda failure: (failure.severity, order.get(failure.expectation, -1)))
    splits = table["split"] if "split" in table else pd.Series(dtype=str)
    return Verdict(
        dataset=card.name,
        passed=not any(failure.severity == "critical" for failure in failures),
        pairs=len(table),
        pairs_per_split={split: int((splits == split).sum()) for split in SPLITS},
        expectations_expected=len(suite),
        expectations_run=len(made),
        failures=tuple(failures),
    )


def _failure(result: CheckResult, table: pd.DataFrame) -> Failure:
    check, explain = result.check, result.check.explain
    rows = table.iloc[list(result.rows)].to_dict("records") if explain else []
    files = [FileProblem(file=_file(row, check), problem=explain(row)) for row in rows] if explain else []
    return Failure(
        expectation=check.name,
        description=check.description,
        severity=check.severity,
        count=len(files),
        files=tuple(files),
        observed="" if explain else check.found(table),
    )


def _file(row: Mapping[Any, Any], check: Check) -> str:
    return str(row.get(check.file) or row.get("image") or row.get("mask") or row.get("name"))


def _not_made(suite: Sequence[Check], results: Sequence[CheckResult]) -> list[Failure]:
    if not suite:
        return [_lost("suite", "the data was checked", "there was no expectation to check it against")]
    errors = {result.check.name: result.error for result in results}
    return [
        _lost(check.name, f"the check '{check.name}' was made", errors.get(check.name) or "it got lost")
        for check in suite
        if errors.get(check.name, "it got lost")
    ]


def _lost(name: str, description: str, reason: str) -> Failure:
    return Failure(expectation=name, description=description, severity="critical", count=0, files=(), observed=reason)
