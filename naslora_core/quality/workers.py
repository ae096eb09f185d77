"""Measure many files in several processes, few in this one."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from naslora_core.errors import DataError

_MOST = 8
# Starting a process and its imports costs about as much as measuring these many files here.
_WORTH_A_PROCESS = 250
_CHUNK = 32


def spread(
    measure: Callable[[Any], dict[str, Any]], items: Sequence[Any], workers: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield `measure(item)` for every item, in their order.

    Args:
        measure: a function of a module, or a partial of one, since other processes have to find it.
        items: what it is called with.
        workers: processes, at most 8; None lets the number of items and of processors decide.

    Raises:
        DataError: if the system ended a worker.
    """
    wanted = min(_processors(), len(items) // _WORTH_A_PROCESS + 1) if workers is None else workers
    if (count := min(wanted, _MOST)) < 2:
        yield from map(measure, items)
        return
    # Forking a process that has threads, as those of torch and pyarrow, can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_single_threaded) as pool:
        try:
            yield from pool.map(measure, items, chunksize=_CHUNK)
        except BrokenProcessPool as error:
            raise DataError(
                "a process that measured files was ended by the system, most likely for want of memory; close other "
                "programs, or make the largest images smaller, and run it again"
            ) from error


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _single_threaded() -> None:
    import cv2

    cv2.setNumThreads(1)
