"""Merging the adapter of a demo domain into its model."""

from functools import partial

from benchmarks.against.compare import Target
from benchmarks.against.row import Row
from benchmarks.against.trained import DOMAIN, compare_stage

_BEFORE_IT = ("validate", "preprocess", "search_train")

ROWS = {
    "merge": Row(
        f"stage merge of {DOMAIN}, merge.mode auto with calibration",
        "the commit before",
        (Target("cpu", 0.33),),
        partial(compare_stage, "merge", _BEFORE_IT),
    ),
}
