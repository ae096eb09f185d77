"""The training of a domain of the demo, as the stage that `naslora run` starts, against an earlier commit."""

import csv
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Measure, Sample, Target, take_turns
from benchmarks.against.earlier import ROOT, unpack
from benchmarks.against.row import Options, Row

DOMAIN = "leaf_lesions"
# Which each round trains with, in turn.
SEEDS = (7, 8, 9)


def _project(code: Path, folder: Path, threads: int) -> Path:
    """Return a project whose domain a checkout has drawn, judged and preprocessed."""
    for name in ("params.yaml", "dvc.yaml", "models", "architectures"):
        source, target = code / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    for weights in (ROOT / "models").glob("*.safetensors"):
        # They are data, which no commit holds.
        shutil.copyfile(weights, folder / "models" / weights.name)
    domain = folder / "data" / DOMAIN
    shutil.copytree(ROOT / "data" / DOMAIN, domain)
    for stage in ("validate", "preprocess"):
        run_python(["-m", f"stages.{stage}", "--domain", DOMAIN], code, folder, threads)
    return folder


def _training(code: Path, folder: Path, threads: int, dice: dict[int, float]) -> Measure:
    """Return what trains once, each time with the next seed, and notes the validation Dice by seed."""
    turns = 0

    def run() -> Sample:
        nonlocal turns
        seed = SEEDS[turns % len(SEEDS)]
        turns += 1
        command = ["-m", "stages.search_train", "--domain", DOMAIN, "--run", f"seed{seed}", "--set", f"seed={seed}"]
        sample = run_python(command, code, folder, threads)
        with (folder / "runs" / f"seed{seed}" / "search_train" / DOMAIN / "history.csv").open() as file:
            dice[seed] = max(float(row["validation_dice"]) for row in csv.DictReader(file))
        return sample

    return run


def _measure(options: Options) -> Comparison:
    checkouts = {"": ROOT, "before": unpack(options.before, options.folder / "code")}
    dice: dict[str, dict[int, float]] = {name: {} for name in checkouts}
    ways: dict[str, Callable[[], Sample]] = {
        name: _training(
            code, _project(code, options.folder / f"project{name}", options.threads), options.threads, dice[name]
        )
        for name, code in checkouts.items()
    }
    found = take_turns(ways.pop(""), ways, options.rounds, warm_up=False)
    seeds = sorted(dice[""])
    ours, theirs = (statistics.mean(dice[name][seed] for seed in seeds) for name in ("", "before"))
    note = f"best validation Dice, mean of the seeds {seeds}: {ours:.4f}, before {theirs:.4f}"
    return Comparison(found.ours, found.others, [note])


ROWS = {
    "search_train": Row(
        f"stage search_train of {DOMAIN} as a process, in turn with the seeds {SEEDS}",
        "the commit before",
        (Target("cpu", 0.55),),
        _measure,
    ),
}
