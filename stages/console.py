"""Show progress: bars with the time left on a terminal, a few lines elsewhere."""

import atexit
import os
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

# Seconds between two progress lines, set by a parent process that draws bars from them and needs them often.
INTERVAL_VARIABLE = "NASLORA_PROGRESS_S"
_LINE_EVERY_S = 30.0
_TENTH_AFTER_S = 5.0
_REDRAW_S = 0.1
# Steps of training can take a minute each: the time left needs a long memory.
_SPEED_OVER_S = 600.0


@dataclass
class _Work:
    """Progress calls of one piece of work: their messages differ in numbers only, or they have the same total."""

    stem: str
    total: int
    done: int = 0
    printed_at: float = 0.0
    printed_done: int = 0
    task: "TaskID | None" = None

    def is_continued_by(self, done: int, total: int, stem: str) -> bool:
        return done >= self.done and (stem == self.stem or total == self.total)


class _Works:
    """The pieces of work in progress; several may alternate."""

    def __init__(self) -> None:
        self._open: list[_Work] = []

    def find(self, done: int, total: int, message: str) -> tuple[_Work, bool]:
        """Return the work a call belongs to, and whether it has just begun."""
        stem = re.sub(r"\d+([.,]\d+)*", "#", message)
        for work in self._open:
            if work.is_continued_by(done, total, stem):
                work.done, work.total = done, total
                return work, False
        work = _Work(stem, total, done)
        # The same work anew: the earlier attempt will not go on.
        self._open = [*(other for other in self._open if other.stem != stem), work]
        return work, True

    def end(self, work: _Work) -> bool:
        """Remove a finished work; return whether it was the last one."""
        self._open.remove(work)
        return not self._open

    def clear(self) -> None:
        self._open.clear()


class _Lines:
    """Output for files and logs: a line at the start and the end, and at each tenth of long work."""

    def __init__(self, stream: TextIO, every_s: float) -> None:
        self._stream, self._every_s = stream, every_s
        self._works = _Works()

    def __call__(self, done: int, total: int, message: str) -> None:
        work, is_new = self._works.find(done, total, message)
        now, finished = time.monotonic(), done >= total
        silence = now - work.printed_at
        tenth = 10 * done // max(total, 1) > 10 * work.printed_done // max(total, 1)
        if is_new or finished or silence >= self._every_s or (tenth and silence >= _TENTH_AFTER_S):
            work.printed_at, work.printed_done = now, done
            self._stream.write(f"  {message}  {done}/{total}\n")
            self._stream.flush()
        if finished:
            self._works.end(work)


class _Bars:
    """Output for terminals: a bar for each work in progress, and other output printed above the bars."""

    shown: "_Bars | None" = None

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._works = _Works()
        self._rich: RichProgress | None = None
        self._drawn_at = 0.0

    def __call__(self, done: int, total: int, message: str) -> None:
        work, is_new = self._works.find(done, total, message)
        finished = done >= total
        rich = self._rich or self._start()
        if is_new and finished:
            # Nothing to watch: a remark, or work of one step.
            rich.console.print(f"  {message}", markup=False, highlight=False, soft_wrap=True)
        elif work.task is None:
            work.task = rich.add_task(message, total=total, completed=done)
        else:
            rich.update(work.task, description=message, total=total, completed=done)
        now = time.monotonic()
        if finished or now - self._drawn_at >= _REDRAW_S:
            self._drawn_at = now
            rich.refresh()
        if finished and self._works.end(work):
            self.stop()

    def _start(self) -> "RichProgress":
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        end_bars()
        # A message keeps to its line; the bar's width is what makes it move.
        text = TextColumn("  {task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        self._rich = Progress(
            text,
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(file=self._stream),
            # Drawn by the calls themselves: a thread would take time from training, and outlive an error.
            auto_refresh=False,
            # Output that goes to a file must not pass through the terminal's bars.
            redirect_stdout=sys.stdout.isatty(),
            speed_estimate_period=_SPEED_OVER_S,
        )
        self._rich.start()
        _Bars.shown = self
        return self._rich

    def stop(self) -> None:
        """Stop redrawing the bars, and release the terminal."""
        if self._rich is not None:
            self._rich.stop()
        self._rich, _Bars.shown = None, None
        self._works.clear()


class ConsoleProgress:
    """Show progress: bars on a terminal; else one line at the start, few on the way and one at the end.

    Away from terminals a line comes at each tenth of the work if the last one is 5 seconds old, and after 30
    seconds in any case. A terminal in CI counts as none. NO_COLOR is respected.

    Args:
        stream: where to show it; None is standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stderr
        self.is_live = _can_redraw(stream)
        every_s = float(os.environ.get(INTERVAL_VARIABLE, _LINE_EVERY_S))
        self._show = _Bars(stream) if self.is_live else _Lines(stream, every_s)

    def __call__(self, done: int, total: int, message: str) -> None:
        """Show that `done` of `total` units of a work are finished; several works may take turns."""
        self._show(done, total, message)


@atexit.register
def end_bars() -> None:
    """Stop all bars, so that later output, such as an error, is not overwritten."""
    if _Bars.shown is not None:
        _Bars.shown.stop()


def _can_redraw(stream: TextIO) -> bool:
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and not in_ci and os.environ.get("TERM") != "dumb"
