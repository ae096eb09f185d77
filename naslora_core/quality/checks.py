"""The definition of a check: one expectation, its severity and its messages for the user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from naslora_core.quality.measure_file import Kind

Severity = Literal["critical", "warning"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One expectation of the suite, with its messages.

    Args:
        name: what it is called in verdicts.
        expectation: class of great_expectations.expectations.
        severity: critical stops the pipeline, warning is reported.
        description: what must hold, as the user reads it.
        arguments: of the expectation.
        file: column that names the file to blame for a failing row.
        explain: what is wrong with a failing row; None if the expectation is about the whole table.
        found: what the table holds instead, for an expectation about the whole of it.
    """

    name: str
    expectation: str
    severity: Severity
    description: str
    arguments: dict[str, Any]
    file: Kind = "image"
    explain: Callable[[Row], str] | None = None
    found: Callable[[pd.DataFrame], str] = lambda table: ""


def none_in(column: str, name: str, severity: Severity, description: str, explain: Callable[[Row], str],
            file: Kind = "image") -> Check:  # fmt: skip
    """Return the check that a text column is empty, or a boolean column false, in every row."""
    allowed = {"column": column, "value_set": ["", False]}
    return Check(name, "ExpectColumnValuesToBeInSet", severity, description, allowed, file, explain)
