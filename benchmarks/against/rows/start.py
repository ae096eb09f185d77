"""How long commands take that compute nothing."""

import re
from functools import partial
from pathlib import Path

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Target, take_turns
from benchmarks.against.earlier import ROOT, unpack
from benchmarks.against.row import Options, Row
from benchmarks.against.rows.demo import NASLORA, make_project, set_parameter


def _help(options: Options) -> Comparison:
    before = unpack(options.before, options.folder / "before")
    arguments = [*NASLORA, "--help"]
    ours, others = (partial(run_python, arguments, code, code, options.threads) for code in (ROOT, before))
    return take_turns(ours, {"before": others}, options.rounds)


def _nothing_to_do(options: Options) -> Comparison:
    ours, before = (
        partial(run_python, [*NASLORA, "run"], root, root, options.threads)
        for root in (_finished(revision, options) for revision in ("HEAD", options.before))
    )
    return take_turns(ours, {"before": before}, options.rounds)


def _finished(revision: str, options: Options) -> Path:
    """Return a project of which all has been run: one domain, for one epoch, as nothing looks at what was learnt."""
    root = make_project(revision, options.folder / revision, options.threads)
    set_parameter(root, "epochs", 1)
    settings = root / "params.yaml"
    first_only = re.sub(r"(?m)^(domains:\n  - .*\n)(  - .*\n)*", r"\1", settings.read_text(encoding="utf-8"))
    settings.write_text(first_only, encoding="utf-8")
    # The second run asks DVC whether all is done, which the next ones need not.
    for _ in range(2):
        run_python([*NASLORA, "run"], root, root, options.threads)
    return root


ROWS = {
    "help": Row("naslora --help", "the commit before", (Target("wall", 0.35, is_ratio=False),), _help),
    "nothing_to_do": Row(
        "naslora run with nothing changed", "the commit before", (Target("cpu", 1.0, is_ratio=False),), _nothing_to_do
    ),
}
