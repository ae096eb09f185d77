"""Defer Ctrl-C and SIGTERM until a checkpoint is written."""

import signal
import threading
from types import FrameType
from typing import Any

_REQUESTS = (signal.SIGINT, signal.SIGTERM)


class DeferredSignals:
    """Within this context Ctrl-C and SIGTERM wait until `deliver` is called; a second one does not wait.

    The deferred signal then has its usual effect. Only the main thread receives signals; in any other one
    this changes nothing.
    """

    def __init__(self) -> None:
        self._waiting: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "DeferredSignals":
        if threading.current_thread() is threading.main_thread():
            # A signal that the process was started to ignore, as by nohup, stays ignored.
            heard = [number for number in _REQUESTS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._restore()
        if kind is None:
            self.deliver()

    @property
    def are_waiting(self) -> bool:
        """Whether the process has been asked to end."""
        return self._waiting is not None

    def deliver(self) -> None:
        """Raise the deferred signal, if there is one."""
        if (number := self._waiting) is not None:
            self._waiting = None
            self._restore()
            signal.raise_signal(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.are_waiting:
            self.deliver()
        self._waiting = number

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
