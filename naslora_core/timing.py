"""Compare time and peak memory of models: seconds in alternating runs, memory in a fresh process."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

Run = Callable[[], object]


def alternate(runs: Mapping[str, Run], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Time functions in rotating rounds, so that machine load and warm caches affect all alike.

    Returns:
        For each name its (wall, CPU) seconds, without those of a first round that warms up.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        first = repeat % len(runs)
        for name, run in [*runs.items()][first:] + [*runs.items()][:first]:
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if repeat > 0:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return seconds


def median(seconds: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the median (wall, CPU) seconds."""
    wall, cpu = zip(*seconds, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def median_ratio(slow: list[tuple[float, float]], fast: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the median over the rounds of the ratio of two functions' (wall, CPU) seconds."""
    return median([(a[0] / b[0], a[1] / b[1]) for a, b in zip(slow, fast, strict=True)])


def peak_memory(prepare: Callable[..., Run], *arguments: Any) -> dict[str, float]:
    """Measure peak memory of what `prepare(*arguments)` returns, run twice in a fresh process.

    Args:
        prepare: a function of a module, so that the other process can find it.

    Returns:
        `peak_mib`, the largest resident size of the process, or where there is an accelerator, what was allocated
        there; and `rise_mib`, how far the runs raised it above what was taken before.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of_this_process, (prepare, *arguments))


def _peak_of_this_process(prepare: Callable[..., Run], *arguments: Any) -> dict[str, float]:
    run = prepare(*arguments)
    before = _peak_mib()
    for _ in range(2):
        run()
    return {"peak_mib": _peak_mib(), "rise_mib": _peak_mib() - before}


def _peak_mib() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="ascii").splitlines() if status.is_file() else ():
        # What getrusage says begins with the size of the process that started this one.
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
