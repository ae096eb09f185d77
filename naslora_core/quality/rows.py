"""Find the rows that fail a check, faster than Great Expectations, which takes a millisecond for each."""

import pandas as pd

from naslora_core.quality.checks import Check


def failing_rows(table: pd.DataFrame, check: Check) -> tuple[int, ...]:
    """Return the positions of the rows that fail a check about single rows, as its expectation is defined.

    Raises:
        ValueError: if the check is about the whole table, or its expectation is not known here.
    """
    given = check.arguments
    if check.expectation == "ExpectColumnPairValuesToBeEqual":
        first, second = table[given["column_A"]], table[given["column_B"]]
        bad = (first != second) & first.notna() & second.notna()
    else:
        column = table[given["column"]]
        if check.expectation == "ExpectColumnValuesToNotBeNull":
            bad = column.isna()
        elif check.expectation == "ExpectColumnValuesToBeUnique":
            bad = column.duplicated(keep=False) & column.notna()
        elif check.expectation == "ExpectColumnValuesToBeInSet":
            bad = ~column.isin(given["value_set"]) & column.notna()
        elif check.expectation == "ExpectColumnValuesToBeBetween":
            low, high = given.get("min_value"), given.get("max_value")
            bad = pd.Series(False, index=table.index)
            bad |= (column < low).fillna(False) if low is not None else False
            bad |= (column > high).fillna(False) if high is not None else False
        else:
            raise ValueError(f"{check.expectation} of check '{check.name}' is not about single rows")
    return tuple(bad.to_numpy(dtype=bool, na_value=False).nonzero()[0].tolist())
