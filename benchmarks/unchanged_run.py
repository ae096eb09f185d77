"""Time `naslora run` with nothing changed, and `dvc status` beside it, in CPU seconds of all their processes.

A finished project is copied, for instance that of `make demo`, and the first domain gets as many tiny images and masks
as asked for. Nothing is trained on these: `dvc commit --force` records them as what the last run has seen, in data.dvc
and in dvc.lock, after which DVC itself finds nothing changed.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from naslora_core.config import load_params
from pipelines.dvc.command import environment

NASLORA = [sys.executable, "-c", "from pipelines.cli.app import main; main()", "run"]
DVC = [sys.executable, "-m", "dvc"]
# Large and derived, and no part of what is measured.
LEFT_OUT = (".git", "dvcstore", "runs", ".venv", "__pycache__")


def main() -> None:
    """Make the project, let a run see that nothing has changed, and print what the next ones and DVC cost."""
    options = _arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        root = Path(temporary) / "project"
        shutil.copytree(options.project, root, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        # The copy is in no git repository.
        with (root / ".dvc" / "config.local").open("a") as config:
            config.write("[core]\n    no_scm = true\n")
        domain = load_params(root / "params.yaml").domains[0]
        _draw(root / "data" / domain, options.images)
        _cpu_seconds([*DVC, "commit", "--force", "--quiet"], root)
        first = _cpu_seconds(NASLORA, root, "Nothing has changed")
        again = [_cpu_seconds(NASLORA, root, "Nothing has changed") for _ in range(options.repeats)]
        status = [_cpu_seconds([*DVC, "status"], root, "up to date") for _ in range(options.repeats)]
    shown = Table("images added", "dvc status, CPU s", "first naslora run, CPU s", "further ones, CPU s")
    shown.add_row(
        f"{options.images:,}", f"{statistics.median(status):.2f}", f"{first:.2f}", f"{statistics.median(again):.2f}"
    )
    Console(width=120).print(shown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unchanged_run", description=__doc__)
    parser.add_argument("--project", type=Path, default=Path(), help="a project whose run has ended well; not changed")
    parser.add_argument("--images", type=int, default=0, help="images, with a mask each, that its first domain gets")
    parser.add_argument("--repeats", type=int, default=5, help="runs, of which the median is printed")
    parser.add_argument("--folder", type=Path, help="where the copy is made, if not among temporary files")
    return parser.parse_args()


def _draw(domain: Path, count: int) -> None:
    for kind in ("images", "masks"):
        for index in range(count):
            (domain / kind / f"added_{index:06}.png").write_bytes(b"%s %d" % (kind.encode(), index))


def _cpu_seconds(command: list[str], root: Path, expected: str = "") -> float:
    """Run a command in the project, with the project's own modules, and return user and system seconds of all of it."""
    env = {**environment(), "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or expected not in done.stdout:
        sys.exit(f"{' '.join(command)} did not end as expected:\n{done.stdout}{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
