"""Great Expectations, reduced to what the gate needs: a table and a suite in, outcomes out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from naslora_core.quality.expectations import Check


@dataclass(frozen=True)
class Outcome:
    """What became of one check.

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


def run_suite(table: pd.DataFrame, suite: Sequence[Check]) -> list[Outcome]:
    """Validate `table` against `suite` with Great Expectations.

    Returns:
        One outcome a check, in any order; a check that the engine lost is not among them.
    """
    # Great Expectations reads this when it is imported; nothing of the user's data may leave the machine.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("measurements").add_dataframe_asset("pairs")
    batch = asset.add_batch_definition_whole_dataframe("all")
    expectations = [
        getattr(gxe, check.expectation)(
            **check.arguments,
            severity=check.severity,
            description=check.description,
            meta={"check": check.name},
        )
        for check in suite
    ]
    definition = gx.ValidationDefinition(
        name="pairs", data=batch, suite=gx.ExpectationSuite(name="pairs", expectations=expectations)
    )
    context.suites.add(definition.suite)
    context.validation_definitions.add(definition)
    # A column of positions, since files have no other key that is unique by construction.
    numbered = table.reset_index(drop=True).assign(row=range(len(table)))
    answer = definition.run(
        batch_parameters={"dataframe": numbered},
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]},
    )
    checks = {check.name: check for check in suite}
    return [_outcome(checks[_name(result)], result) for result in answer.results]


def _name(result: Any) -> str:
    return str(result.expectation_config.meta["check"])


def _outcome(check: Check, result: Any) -> Outcome:
    error = _error(result.exception_info or {})
    found = result.result or {}
    rows = sorted({int(entry["row"]) for entry in found.get("unexpected_index_list") or []})
    return Outcome(check, bool(result.success), tuple(rows), error)


def _error(info: dict[str, Any]) -> str:
    # One entry, or one per metric that the expectation is made of.
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [str(e.get("exception_message", "")) for e in entries if e.get("raised_exception")]
    return "; ".join(sorted({message.strip() or "unknown error" for message in messages}))
