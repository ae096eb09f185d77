"""How long the tests take, which is how long somebody who changes the code waits."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.against.commands import run_python
from benchmarks.against.compare import Comparison, Target, take_turns
from benchmarks.against.earlier import ROOT
from benchmarks.against.row import Options, Row

# As `make test` runs them.
_PYTEST = ("-m", "pytest", "-q", "--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile")
_TRACKED = ("data.dvc", "models/sam_tiny.safetensors.dvc")


def _make_test(options: Options) -> Comparison:
    # Clones of both, because some tests want a git repository; what is not committed is not in it.
    ours = _clone("HEAD", options.folder / "ours")
    before = _clone(options.before, options.folder / "before")
    run, other = (partial(run_python, _PYTEST, code, code, options.threads) for code in (ours, before))
    # One round: a second one costs as much again, and a suite of minutes averages over the machine's load by itself.
    found = take_turns(run, {"before": other}, rounds=1, warm_up=False)
    return replace(found, notes=[f"{name}: {_collected(code)}" for name, code in (("ours", ours), ("before", before))])


def _clone(revision: str, folder: Path) -> Path:
    """Return a clone of this repository at a commit, with the sample data and the base model."""
    commit = subprocess.run(["git", "rev-parse", revision], cwd=ROOT, capture_output=True, text=True, check=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit.stdout.strip()], cwd=folder, check=True)
    run_python(["-m", "dvc", "pull", "--quiet", *_TRACKED], folder, folder, threads=1)
    return folder


def _collected(code: Path) -> str:
    """Return what pytest says about the number of tests in a clone."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    env = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


ROWS = {
    "make_test": Row("make test", "the commit before", (Target("wall", 0.5), Target("cpu", 0.5)), _make_test),
}
