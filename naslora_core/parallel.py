"""Map a function over many items in several processes, where that is faster."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from naslora_core.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_WORKERS = 8
CHUNK = 8
# Bytes of a JPEG that take about as long to decode as reading a small file takes in all.
_LIKE_A_SMALL_FILE = 5_000


def worker_count(files: Iterable[Path], worth_a_process: int) -> int:
    """Return the number of processes to use for reading `files`; 1 means this process alone.

    Args:
        files: what is read; those that cannot be looked at count as small ones.
        worth_a_process: how many small files take as long as starting a process and its imports.
    """
    small_files = 0.0
    for file in files:
        small_files += 1 + _size(file) / _LIKE_A_SMALL_FILE
        # No need to look at the rest: a data set may have many.
        if small_files >= 2 * worth_a_process:
            return min(_processors(), _MOST_WORKERS)
    return 1


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


@contextmanager
def parallel_map(
    work: Callable[[Item], Result],
    workers: int,
    doing: str,
    prepare: Callable[[], None] | None = None,
    chunk: int = CHUNK,
) -> Iterator[Callable[[Iterable[Item]], Iterator[Result]]]:
    """Yield a function that maps `work` over items in parallel and returns the results in order.

    All it is given in one call may be held in memory at once.

    Args:
        work: a function of a module, or a partial of one, since other processes have to find it.
        workers: processes; 1 works in this one.
        doing: what the processes do, as "decodes images", for the error message.
        prepare: called once in every process that is started.
        chunk: items that a process is sent at a time.

    Raises:
        DataError: if the system ends a process.
    """
    if workers == 1:
        yield partial(map, work)
        return
    # Spawned, as forking copies the locks of threads that other libraries started.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(prepare,)) as pool:
            try:
                yield partial(pool.map, work, chunksize=chunk)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise DataError(
            f"a process that {doing} was ended by the system, most likely for lack of memory; close other programs, "
            "or make the largest images smaller, and run again"
        ) from error


def _processors() -> int:
    # Of a machine with many processors, this process may have been given a few.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker(prepare: Callable[[], None] | None) -> None:
    """Ignore Ctrl-C, and exit when the parent process ends: workers of a killed parent would wait forever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
