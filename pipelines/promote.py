"""Put merged models into service: a copy that no running stage can delete."""

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from naslora_core.files import atomic_directory
from stages.paths import StagePaths


def promote(paths: StagePaths, domains: Sequence[str]) -> tuple[str, ...]:
    """Copy the merged model and the metrics of each domain to serving/<domain>, atomically.

    Returns:
        The domains whose copy was out of date; the others are left alone.
    """
    promoted = []
    for domain in domains:
        target = paths.root / "serving" / domain
        files = _served_files(paths, domain)
        if not _is_current(files, target):
            with atomic_directory(target) as folder:
                for file in files:
                    # copy2 keeps the time stamp: the next run sees without reading that nothing changed.
                    shutil.copy2(file, folder / file.name)
            promoted.append(domain)
    return tuple(promoted)


def _served_files(paths: StagePaths, domain: str) -> list[Path]:
    model = sorted(path for path in paths.source("merge", domain).iterdir() if path.is_file())
    # Later versions of the data are compared with these.
    measurements = paths.output("validate", domain) / "measurements.parquet"
    kept = [measurements] if measurements.is_file() else []
    return [*model, paths.source("evaluate", domain) / "metrics.json", *kept]


def _is_current(files: Sequence[Path], target: Path) -> bool:
    if not target.is_dir() or {path.name for path in target.iterdir()} != {file.name for file in files}:
        return False
    return all(filecmp.cmp(file, target / file.name) for file in files)
