"""Run a command as a process of its own, and say what it and all it starts take."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.against.compare import Sample


def run_python(arguments: Sequence[str], code: Path, cwd: Path, threads: int) -> Sample:
    """Run this Python with the modules of a checkout.

    Args:
        arguments: what follows `python`, such as ["-m", "stages.merge", "--domain", "leaf_lesions"].
        code: the checkout whose packages are imported.
        cwd: where it runs.
        threads: of torch and its like.

    Returns:
        Its wall seconds, the CPU seconds of it and of all its children, and the largest resident size among these.

    Exits with the command's own output if it fails.
    """
    paths = {"PYTHONPATH": str(code), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    env = {**os.environ, **paths, "OMP_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": ""}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read()
    # What the process has waited for is in it too.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f"error: {' '.join(arguments)} in {cwd} ended with {process.returncode}:\n{output.decode()}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
