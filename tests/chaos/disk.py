"""A disk of its own for the pipeline, small enough to be filled."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.pipeline import Pipeline

SIZE_BYTES = 400 << 20
_ASKED = "NASLORA_OWN_MOUNTS"


def own_mounts() -> None:
    """Start the program again where it may mount, unseen by others and for its own time alone, if the system allows."""
    ask = ["unshare", "--map-root-user", "--mount"]
    if os.environ.get(_ASKED) or not shutil.which("unshare"):
        return
    os.environ[_ASKED] = "1"
    if subprocess.run([*ask, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.execvp("unshare", [*ask, sys.executable, *sys.orig_argv[1:]])


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Let a folder be a disk of `SIZE_BYTES` in memory; yields False if the system does not allow that."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)


def fill_disk(pipeline: Pipeline) -> str:
    """Run a stage where the whole disk has a random number of bytes left."""
    stage = pipeline.rng.choice(pipeline.stages)
    pipeline.forget(stage)
    ballast, left = pipeline.root / "ballast", int(10 ** pipeline.rng.uniform(3, 7))
    free = os.statvfs(pipeline.root)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - left))
    try:
        return f"{left} bytes left for {stage}: {pipeline.run_to_its_end()}"
    finally:
        ballast.unlink()
