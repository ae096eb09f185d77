"""A demo domain that the commit before has trained, on whose files both commits run a later stage."""

import shutil
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Measure, Sample, take_turns
from benchmarks.against.row import Options
from benchmarks.against.rows.demo import make_project

DOMAIN = "leaf_lesions"
# Of the stage's own function: what is left of its process beside imports, arguments and checks.
_ALONE = """
import importlib, sys, time
from pathlib import Path
from naslora_core.config import load_params
from naslora_core.progress import silent
from stages.paths import StagePaths
stage = importlib.import_module("stages." + sys.argv[1])
for module in ("sam.build", "sam.families.vit", "adapted.saved", "sam.checkpoint"):
    importlib.import_module("naslora_core." + module)
began = time.process_time()
stage.main(sys.argv[2], load_params(Path("params.yaml"), []), StagePaths(Path(), None), silent)
Path("seconds").write_text(str(time.process_time() - began))
"""


def compare_stage(stage: str, before_it: tuple[str, ...], options: Options) -> Comparison:
    """Run a stage of one domain by both commits, from the same files.

    Args:
        stage: its module.
        before_it: the stages whose outputs it needs, in their order; run by the commit before.
        options: of the row.
    """
    run = partial(run_python, threads=options.threads)
    folders = {
        name: make_project(revision, options.folder / name, options.threads)
        for name, revision in {"ours": "HEAD", "before": options.before}.items()
    }
    before = folders["before"]
    for name in before_it:
        run(["-m", f"stages.{name}", "--domain", DOMAIN], before, before)
    shutil.rmtree(folders["ours"] / "artifacts")
    shutil.copytree(before / "artifacts", folders["ours"] / "artifacts")
    alone: dict[str, list[float]] = {name: [] for name in folders}

    def measure(name: str) -> Sample:
        root = folders[name]
        run(["-c", _ALONE, stage, DOMAIN], root, root)
        alone[name].append(float((root / "seconds").read_text(encoding="utf-8")))
        return run(["-m", f"stages.{stage}", "--domain", DOMAIN], root, root)

    others: dict[str, Measure] = {"before": partial(measure, "before")}
    found = take_turns(partial(measure, "ours"), others, options.rounds)
    return Comparison(found.ours, found.others, [*_of_main(alone), *_of_outputs(stage, folders)])


def _of_main(seconds: dict[str, list[float]]) -> Iterator[str]:
    """Yield what the stages' own functions take; the first round has warmed up."""
    ours, before = (statistics.median(seconds[name][1:]) for name in ("ours", "before"))
    yield f"without imports: {ours:.2f} CPU s, before {before:.2f}, ratio {ours / before:.2f}"


def _of_outputs(stage: str, folders: dict[str, Path]) -> Iterator[str]:
    """Yield which files are the same, byte by byte."""
    ours, before = (root / "artifacts" / stage / DOMAIN for root in folders.values())
    files = sorted(str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_file())
    other = [name for name in files if (ours / name).read_bytes() != (before / name).read_bytes()]
    yield f"{len(files) - len(other)} of {len(files)} outputs are the same bytes; others: {', '.join(other) or 'none'}"
