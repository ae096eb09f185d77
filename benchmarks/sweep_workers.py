"""How much sooner a sweep ends with two workers than with one, and whether their results are the same.

    python -m benchmarks.sweep_workers
    python -m benchmarks.sweep_workers --jobs 4 --epochs 5 --domain leaf_lesions --json sweep_workers.json
    python -m benchmarks.sweep_workers --jobs 1 --epochs 1 --set model.image_size=64     # does it work at all

For each number of workers the last commit is cloned into a new project with a DVC cache of its own, so that nothing
is found that was computed before; then `naslora flows sweep` trains one seed a job there, with one thread each. Wall
seconds are those of the whole command, Prefect's start included. To be run with nothing else on the machine: the load
before each sweep is printed and written with it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from naslora_core.errors import PipelineError
from naslora_core.files import write_json
from naslora_core.telemetry import TELEMETRY_OFF

REPOSITORY = Path(__file__).parents[1]
INPUTS = ("data.dvc", "models/sam_tiny.safetensors.dvc")
NASLORA = (sys.executable, "-c", "from pipelines.cli.app import main; main()")


def main() -> None:
    """Measure, print a line for each number of workers and the ratio, and write them as JSON where asked to."""
    options = _parse()
    measured = [_measure(workers, options) for workers in options.workers]
    for one in measured:
        each = ", ".join(f"{row['seconds']:.0f}" for row in one["rows"])
        print(
            f"{one['workers']} workers: {one['wall_s']:.1f} s, {one['cpu_s']:.1f} s of CPU time, "
            f"jobs {each} s, load before {one['load']:.1f}"
        )
    ratio = measured[-1]["wall_s"] / measured[0]["wall_s"]
    same = all(_results(one["rows"]) == _results(measured[0]["rows"]) for one in measured)
    assert all(row["trained"] for one in measured for row in one["rows"])
    print(f"{options.workers[-1]} workers take {ratio:.2f} of the time of {options.workers[0]}")
    print("scores and SHA-256 of all models are " + ("the same" if same else "NOT the same"))
    if options.json:
        write_json(options.json, {"ratio": ratio, "identical": same, "jobs": options.jobs, "measured": measured})
    sys.exit(not same)


def _measure(workers: int, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="naslora-sweep-") as scratch:
        project = _project(Path(scratch) / "project", [f"train.epochs={options.epochs}", *options.set])
        seeds = [word for seed in range(1, options.jobs + 1) for word in ("--seed", str(seed))]
        words = ["flows", "sweep", "--domain", options.domain, "--method", options.method, *seeds]
        words += ["--workers", str(workers), "--threads", "1", "--out", str(Path(scratch) / "sweep.csv"), "--json"]
        load, begin, before = os.getloadavg()[0], time.monotonic(), _cpu_s()
        printed = _run(project, *NASLORA, *words)
        wall_s, cpu_s = time.monotonic() - begin, _cpu_s() - before
        rows = json.loads(printed)["jobs"]
        return {"workers": workers, "wall_s": wall_s, "cpu_s": cpu_s, "load": load, "rows": rows}


def _project(folder: Path, settings: list[str]) -> Path:
    _run(REPOSITORY, "git", "clone", "--quiet", str(REPOSITORY), str(folder))
    _run(folder, sys.executable, "-m", "dvc", "pull", *INPUTS)
    editor = YAML()
    params = editor.load((folder / "params.yaml").read_text(encoding="utf-8"))
    for setting in settings:
        name, _, value = setting.partition("=")
        section, _, key = name.partition(".")
        params[section][key] = editor.load(value)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        editor.dump(params, file)
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    _run(folder, "git", *who, "commit", "--quiet", "--all", "--message", " ".join(settings))
    return folder


def _run(folder: Path, *words: str) -> str:
    """Run a program in a folder, with the code of that folder, and return what it printed."""
    settings = {**TELEMETRY_OFF, "PYTHONPATH": str(folder), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PipelineError(f"{' '.join(words)} failed: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout


def _results(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without what differs from run to run, by seed."""
    kept = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    return sorted(kept, key=lambda row: int(row["seed"]))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs=2, default=[1, 2], help="the two numbers to compare")
    parser.add_argument("--jobs", type=int, default=4, help="trainings in each sweep, a seed each")
    parser.add_argument("--epochs", type=int, default=5, help="of each training")
    parser.add_argument("--domain", default="leaf_lesions")
    parser.add_argument("--method", default="nas_lora")
    parser.add_argument("--set", action="append", default=[], help="a setting of params.yaml, as train.batch_size=4")
    parser.add_argument("--json", type=Path, help="write the measurements here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
