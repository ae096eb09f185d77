"""Measure rows of the table: python -m benchmarks.against --row train_sam_tiny --rounds 5 --threads 1."""

import argparse
import os
import platform
import statistics
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.against.compare import Comparison, spread

_PACKAGES = ("torch", "segment-anything", "peft", "transformers", "dvc", "great-expectations", "numpy", "pillow")


def main() -> None:
    """Measure the rows that were asked for, one after the other."""
    options = _arguments()
    # Before torch is imported, which reads it once.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from benchmarks.against.row import Options, all_rows

    known = all_rows()
    names = options.row or list(known)
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"error: --row {unknown[0]} is unknown; there are {', '.join(known)}")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{_versions()}; Python {platform.python_version()}; threads: {options.threads}")
    for name in names:
        row = known[name]
        print(f"\n{name}: {row.work}, against {row.against}", flush=True)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            given = {"before": options.before} if options.before else {}
            settings = Options(options.rounds, options.threads, folder=Path(folder), data=options.data, **given)
            found = row.measure(settings)
        _print(found)
        for target in row.targets:
            values = found.ratios(target.of, target.other) if target.is_ratio else found.figures(target.of)
            if any(values):
                middle = statistics.median(values)
                reached = "reached" if middle <= target.at_most else "NOT reached"
                of = f" of {target.other}" if target.other else ""
                print(f"  target: {target.of}{of} <= {target.at_most}: {middle:.3f}, {reached}")


def _print(found: Comparison) -> None:
    for other in found.others:
        for of in ("wall", "cpu", "memory"):
            if ratios := found.ratios(of, other):
                print(f"  {of} of {other}: {spread(ratios)}")
    for name, samples in {"ours": found.ours, **found.others}.items():
        middle = sorted(samples, key=lambda sample: sample.cpu_s)[len(samples) // 2]
        peak = f", peak {middle.peak_mib:.0f} MiB" if middle.peak_mib else ""
        print(f"  {name}: {middle.wall_s:.3f} s, {middle.cpu_s:.3f} CPU s{peak} (median of {len(samples)})")
    for note in found.notes:
        print(f"  {note}")


def _versions() -> str:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("--row", action="append", help="which row; may be repeated; all, if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every way, of which the median is printed")
    parser.add_argument("--threads", type=int, default=1, help="of torch and its like")
    parser.add_argument("--before", help="the commit to compare with, where a row compares with an earlier one")
    parser.add_argument("--folder", type=Path, help="where temporary files go, which may be large")
    parser.add_argument("--data", type=Path, help="a folder of real datasets, for the rows that take one")
    return parser.parse_args()


if __name__ == "__main__":
    main()
