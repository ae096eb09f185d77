"""How the engine hands a table to Great Expectations."""

import pandas as pd
import pytest

from naslora_core.quality.data_docs import as_html
from naslora_core.quality.engine import _column_as_html


@pytest.mark.parametrize("dtype", ["object", "string"])
def test_a_column_is_escaped_as_if_each_cell_were(dtype):
    cells = ["<b>", "plain", None, "a & b", "<b>", "", "&amp;", "a & b", pd.NA]
    column = pd.Series(cells, index=range(3, 12), dtype=dtype, name="group")
    written = _column_as_html(column)
    expected = column.map(as_html)
    assert written.index.equals(expected.index)
    assert written.isna().equals(expected.isna())
    assert written.dropna().to_list() == expected.dropna().to_list()
    assert "&lt;b&gt;" in written.to_list()


def test_a_column_without_a_text_stays_so():
    assert _column_as_html(pd.Series([None, None], dtype="string")).isna().all()
