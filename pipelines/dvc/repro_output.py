"""Parse the output of `dvc repro`: report the running stage and its progress, and explain failures."""

import re
from collections.abc import Callable

from naslora_core.progress import Progress

_RUNNING = re.compile(r"Running stage '(?P<stage>[^'@]+)(?:@(?P<domain>[^']+))?':")
_CACHED = re.compile(r"Stage '(?P<stage>[^'@]+)(?:@(?P<domain>[^']+))?' is cached")
_PROGRESS = re.compile(r"  (?P<message>.*?) +(?P<done>\d+)/(?P<total>\d+)$")


class ReproOutput:
    """Parses the output of `dvc repro` line by line.

    Args:
        say: gets a line for each stage that starts, and for each progress a stage reports.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._stage = ""
        self._message: list[str] = []
        self._dvc_errors: list[str] = []
        self._last = ""

    def add(self, line: str) -> None:
        """Parse one line, without its newline."""
        if match := _RUNNING.match(line):
            self._start(match)
        elif match := _CACHED.match(line):
            self._say(f"{_title(match)}: outputs taken from the cache")
        elif line.startswith("ERROR: "):
            self._dvc_errors.append(line.removeprefix("ERROR: "))
        elif line.startswith("error: "):
            self._message = [line.removeprefix("error: ")]
        elif self._message and not self._dvc_errors:
            self._message.append(line)
        elif _PROGRESS.match(line):
            self._say(line)
        elif line.strip() and not self._dvc_errors:
            self._last = line.strip()

    def explain(self) -> str:
        """Return why dvc failed: the stage's own message, else its last words, else those of dvc."""
        if self._stage and self._message:
            return f"{self._stage} failed: " + "\n".join(self._message).rstrip()
        if self._stage and any("failed to run" in error for error in self._dvc_errors):
            return f"{self._stage} failed: {self._last}"
        return "dvc repro failed: " + ("; ".join(self._dvc_errors) or self._last or "it printed nothing")

    def _start(self, match: re.Match[str]) -> None:
        self._stage = _title(match)
        self._message = []
        self._last = ""
        self._say(self._stage)


def draw_progress(progress: Progress, say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a handler of lines that passes those of progress to `progress`, and others to `say`."""

    def sort(line: str) -> None:
        if match := _PROGRESS.match(line):
            progress(int(match["done"]), int(match["total"]), match["message"])
        else:
            say(line)

    return sort


def _title(match: re.Match[str]) -> str:
    return match["stage"] + (f" · {match['domain']}" if match["domain"] else "")
