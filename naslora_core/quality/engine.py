"""Run the suite of checks on a table of measurements with Great Expectations."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslora_core.quality.checks import Check
from naslora_core.quality.data_docs import add_site, as_html, build_site
from naslora_core.quality.rows import failing_rows
from naslora_core.telemetry import turn_telemetry_off

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
# The same data gives the same pages, whenever it is judged.
_NO_TIME = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Args:
        check: the check.
        success: whether it holds.
        rows: positions in the table of the rows that fail.
        error: why the check could not be made, "" if it was.
    """

    check: Check
    success: bool
    rows: tuple[int, ...] = field(default=())
    error: str = ""


def run_suite(table: pd.DataFrame, suite: Sequence[Check], docs: Path | None = None) -> list[CheckResult]:
    """Validate `table` against `suite` with Great Expectations.

    Args:
        table: one row a pair.
        suite: the checks.
        docs: an empty folder to write Data Docs to, static pages; None writes none.

    Returns:
        One result a check, in any order; a check that the engine lost is not among them.
    """
    # Here, too, for use as a library; nothing of the user's data may leave the machine.
    turn_telemetry_off()
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    if docs is not None:
        add_site(context, docs)
    columns = {str(name) for check in suite for name in map(check.arguments.get, _COLUMN_ARGUMENTS) if name in table}
    shown = table[sorted(columns)].reset_index(drop=True)
    # Different texts stay different as HTML, so that no expectation has another result.
    for name in shown.select_dtypes(exclude=["number", "bool"]):
        shown[name] = _column_as_html(shown[name])
    answer = _define(context, suite).run(
        batch_parameters={"dataframe": shown.rename(columns=as_html)},
        run_id=gx.RunIdentifier(run_name="gate", run_time=_NO_TIME),
        result_format="SUMMARY",
    )
    if docs is not None:
        build_site(context, docs)
    checks = {check.name: check for check in suite}
    found = [_check_result(checks[_name(result)], result, table) for result in answer.results]
    # Its objects know each other and the columns, of which they hold copies: hundreds of megabytes for very many pairs.
    del answer, context, shown
    gc.collect()
    return found


def _column_as_html(column: pd.Series) -> pd.Series:
    """Return a column of texts as `as_html` writes them; each is written once, as most columns repeat a few."""
    places, texts = pd.factorize(column)
    written = np.array([*map(as_html, texts), None], dtype=object)[places]
    return pd.Series(written, index=column.index).where(column.notna(), column)


def _define(context: Any, suite: Sequence[Check]) -> Any:
    import great_expectations as gx
    import great_expectations.expectations as gxe

    asset = context.data_sources.add_pandas("measurements").add_dataframe_asset("pairs")
    expectations = [
        getattr(gxe, check.expectation)(
            **as_html(check.arguments),
            severity=check.severity,
            description=as_html(check.description),
            meta={"check": check.name},
        )
        for check in suite
    ]
    named = context.suites.add(gx.ExpectationSuite(name="pairs", expectations=expectations))
    batch = asset.add_batch_definition_whole_dataframe("all")
    definition = gx.ValidationDefinition(name="pairs", data=batch, suite=named)
    return context.validation_definitions.add(definition)


def _name(result: Any) -> str:
    return str(result.expectation_config.meta["check"])


def _check_result(check: Check, result: Any, table: pd.DataFrame) -> CheckResult:
    if error := _error(result.exception_info or {}):
        return CheckResult(check, False, error=error)
    if result.success or check.explain is None:
        return CheckResult(check, bool(result.success))
    rows = failing_rows(table, check)
    if len(rows) != (counted := (result.result or {}).get("unexpected_count")):
        return CheckResult(check, False, error=f"{counted} rows fail by Great Expectations, and {len(rows)} by name")
    return CheckResult(check, False, rows)


def _error(info: dict[str, Any]) -> str:
    # One entry, or one per metric that the expectation is made of.
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [str(e.get("exception_message", "")) for e in entries if e.get("raised_exception")]
    return "; ".join(sorted({message.strip() or "unknown error" for message in messages}))
