"""Evaluating three models of a demo domain, with all metrics and pictures."""

from functools import partial

from benchmarks.against.compare import Target
from benchmarks.against.row import Row
from benchmarks.against.trained import DOMAIN, compare_stage

_BEFORE_IT = ("validate", "preprocess", "search_train", "merge")

ROWS = {
    "evaluate": Row(
        f"stage evaluate of {DOMAIN}, base, adapted and merged model",
        "the commit before",
        (Target("cpu", 0.5),),
        partial(compare_stage, "evaluate", _BEFORE_IT),
    ),
}
