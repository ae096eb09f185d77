"""A whole run on the sample domains, each round with a seed of its own."""

import json
import re
from functools import partial
from pathlib import Path

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Measure, Sample, Target, take_turns
from benchmarks.against.earlier import unpack
from benchmarks.against.row import Options, Row

NASLORA = ["-c", "from pipelines.cli.app import main; main()"]


def make_project(revision: str, folder: Path, threads: int) -> Path:
    """Unpack a commit as a project of its own, which is in no git repository, and fetch its data and models."""
    root = unpack(revision, folder)
    dvc = partial(run_python, code=root, cwd=root, threads=threads)
    dvc(["-m", "dvc", "config", "--local", "core.no_scm", "true"])
    dvc(["-m", "dvc", "pull", "data.dvc", *(str(path.relative_to(root)) for path in (root / "models").glob("*.dvc"))])
    return root


def set_parameter(root: Path, name: str, value: object) -> None:
    """Replace a parameter of params.yaml by its key, which must be there once."""
    path = root / "params.yaml"
    text, count = re.subn(rf"(?m)^( *{name}:) .*$", rf"\g<1> {value}", path.read_text(encoding="utf-8"))
    assert count == 1, f"{path} has {count} lines for {name}"
    path.write_text(text, encoding="utf-8")


def _demo(options: Options) -> Comparison:
    roots = {
        name: make_project(revision, options.folder / name, options.threads)
        for name, revision in {"ours": "HEAD", "before": options.before}.items()
    }
    notes: list[str] = []

    def run(name: str) -> Sample:
        root = roots[name]
        seed = sum(note.startswith(f"{name},") for note in notes) + 1
        set_parameter(root, "seed", seed)
        sample = run_python([*NASLORA, "run", "--force"], root, root, options.threads)
        found = {path.parent.name: json.loads(path.read_text(encoding="utf-8"))["merged"]["dice"]
                 for path in sorted((root / "artifacts" / "evaluate").glob("*/metrics.json"))}  # fmt: skip
        told = ", ".join(f"{domain} {100 * dice:.1f}" for domain, dice in found.items())
        notes.append(f"{name}, seed {seed}: Dice of the merged model {told}")
        return sample

    others: dict[str, Measure] = {"before": partial(run, "before")}
    # Without a warm-up: minutes of work hardly feel a cold cache.
    compared = take_turns(partial(run, "ours"), others, options.rounds, warm_up=False)
    return Comparison(compared.ours, compared.others, sorted(notes))


ROWS = {
    "demo": Row(
        "naslora run --force on the sample domains", "the commit before", (Target("wall", 0.5), Target("cpu", 0.5)),
        _demo,
    ),
}  # fmt: skip
