"""How long commands take that compute nothing."""

from functools import partial

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Target, take_turns
from benchmarks.against.earlier import ROOT, unpack
from benchmarks.against.row import Options, Row


def _help(options: Options) -> Comparison:
    before = unpack(options.before, options.folder / "before")
    arguments = ["-c", "from pipelines.cli.app import main; main()", "--help"]
    ours, others = (partial(run_python, arguments, code, code, options.threads) for code in (ROOT, before))
    return take_turns(ours, {"before": others}, options.rounds)


ROWS = {
    "help": Row("naslora --help", "the commit before", (Target("wall", 0.35, is_ratio=False),), _help),
}
