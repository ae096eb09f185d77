"""Lock the project for one pipeline run at a time, since DVC lets two runs break each other."""

import fcntl
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from naslora_core.errors import PipelineError

_POLL_S = 0.2


@contextmanager
def exclusive(root: Path, wait_s: float, say: Callable[[str], None]) -> Iterator[None]:
    """Lock the project for one run; the lock is released when the process ends, also by a kill.

    Args:
        root: the project's folder.
        wait_s: longest wait, in seconds, for a run that is under way.
        say: gets one line with the other run's identity, if there is a wait.

    Raises:
        PipelineError: if the other run still holds the project after `wait_s`; names it.
    """
    path = root / ".naslora" / "run.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        _acquire(file, wait_s, say)
        # A dvc that outlives a killed naslora inherits the lock, so no second run starts beside it.
        os.set_inheritable(file.fileno(), True)
        _write_holder(file, f"{command_line()} (process {os.getpid()}, since {datetime.now():%H:%M:%S})")
        try:
            yield
        finally:
            _write_holder(file, "")


class AlreadyWaitingError(PipelineError):
    """Another run for the same purpose is already waiting, and will see the same changes."""


@contextmanager
def next_turn(root: Path, wait_s: float, say: Callable[[str], None], purpose: str) -> Iterator[None]:
    """Lock the project as `exclusive` does, with at most one waiting run per purpose.

    Any number of triggers so become the current run and one more, which reads the data only when its turn
    has come.

    Args:
        root: the project's folder.
        wait_s: longest wait, in seconds.
        say: gets a line with the process that is waited for.
        purpose: runs with the same one replace each other; usable as a file name.

    Raises:
        AlreadyWaitingError: if there is a run that waits.
        PipelineError: as `exclusive`.
    """
    path = root / ".naslora" / f"next-{purpose}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyWaitingError("another run waits already and will find what has changed") from error
        with exclusive(root, wait_s, say):
            # From here on the data may have been read, so the next trigger has to wait for a run of its own.
            fcntl.flock(file, fcntl.LOCK_UN)
            yield


def _acquire(file: IO[str], wait_s: float, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + wait_s
    waiting = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another run"
            if time.monotonic() >= deadline:
                raise PipelineError(
                    f"the project is busy: {holder} holds it, waited {wait_s:.0f} s; "
                    "let it finish or stop it, then run again"
                ) from error
            if not waiting:
                say(f"waiting up to {wait_s:.0f} s for {holder}")
                waiting = True
        time.sleep(_POLL_S)


def _write_holder(file: IO[str], holder: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(holder)
    file.flush()


def command_line() -> str:
    """Return how this program was called, as it can be typed again."""
    if Path(sys.argv[0]).parts[-2:] == ("prefect", "engine.py"):
        return "a flow run of Prefect"
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
