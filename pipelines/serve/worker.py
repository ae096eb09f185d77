"""Run one prediction at a time, with a bounded queue of requests."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from pipelines.serve.refusal import Refusal

_Result = TypeVar("_Result")


class Worker:
    """A thread that predicts: models share memory, threads within torch share the cores.

    Args:
        places: how many requests may wait or be worked on. Each may hold an upload in memory.
    """

    def __init__(self, places: int) -> None:
        self._places, self._taken, self._seconds = places, 0, 1.0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue for a `with` block, from before an upload is read.

        Raises:
            Refusal: 503 if there is none, with the time after which to come again.
        """
        if self._taken >= self._places:
            wait_s = max(1, math.ceil(self._seconds * self._taken))
            raise Refusal(
                503,
                f"{self._taken} requests are waiting, which is the limit; come again in {wait_s} s",
                {"Retry-After": str(wait_s)},
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run `work` in turn, and return its result or raise its error."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, work)

    def close(self) -> None:
        """Finish the current work, drop the rest."""
        self._thread.shutdown(cancel_futures=True)

    def _timed(self, work: Callable[[], _Result]) -> _Result:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds = time.perf_counter() - started
