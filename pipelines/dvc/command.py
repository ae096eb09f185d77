"""Every call of the dvc command line."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from naslora_core.errors import PipelineError
from naslora_core.telemetry import TELEMETRY_OFF
from pipelines.dvc.changes import ChangedStages, sort_changes
from pipelines.dvc.lock_file import DvcLock
from pipelines.dvc.other_processes import is_busy, wait_for_others
from pipelines.dvc.recover import recover
from pipelines.dvc.repro_output import ReproOutput
from pipelines.stage_server.lease import stage_python

_DVC = [sys.executable, "-m", "dvc"]
_GRACE_S = 10.0
_running: set["subprocess.Popen[str]"] = set()
_ending = threading.Event()


def status(root: Path, wait_s: float, say: Callable[[str], None]) -> ChangedStages:
    """Run `dvc status` and sort what it says; changes nothing but truncated files that keep dvc from starting.

    Args:
        root: the project's folder.
        wait_s: longest wait, in seconds, for a dvc command that somebody else has typed.
        say: gets a line with the process that is waited for.

    Raises:
        PipelineError: if dvc cannot tell, or other commands do not end.
    """
    deadline = time.monotonic() + wait_s
    while True:
        wait_for_others(root, deadline, say)
        done = _run(root, "status", "--json")
        try:
            content: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError as error:
            if is_busy(done.stderr) and time.monotonic() < deadline:
                continue
            if recover(root, done.stdout + done.stderr, say):
                continue
            raise PipelineError(f"dvc status failed: {_last_line(done.stderr)}") from error
        return _sorted(root, content)


def _sorted(root: Path, content: dict[str, Any]) -> ChangedStages:
    # Not at the top: it asks this module for the cache's folder.
    from pipelines.dvc.kept import LocalCache

    cache = LocalCache(root)
    return sort_changes(content, lambda: DvcLock(root), lambda path: cache.has_content_of(root / path))


def repro(
    root: Path,
    targets: Sequence[str],
    say: Callable[[str], None],
    *,
    wait_s: float = 0,
    force: bool = False,
    alone: bool = False,
) -> None:
    """Run `dvc repro` and report its progress; an interruption ends dvc and the stage it runs.

    Args:
        root: the project's folder.
        targets: stages to bring up to date, with all they depend on; none is the whole pipeline.
        say: gets a line whenever a stage starts or has come further.
        wait_s: longest time, in seconds, to wait for dvc commands that somebody else has typed and to go on
            after them where one got in the way.
        force: run the stages even if nothing changed.
        alone: run the targets only, not what they depend on.

    Raises:
        PipelineError: if a stage fails; carries the stage's own message. Also after `end_all`.
    """
    flags = ["--force"] * force + ["--single-item"] * alone
    log = root / ".naslora" / "logs" / f"{'-'.join(targets) or 'all'}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_s
    while True:
        wait_for_others(root, deadline, say)
        if _ending.is_set():
            raise PipelineError("interrupted")
        output = ReproOutput(say)
        if _follow([*_DVC, "repro", *flags, *targets], root, log, output) == 0:
            return
        explanation = output.explain()
        if recover(root, log.read_text(encoding="utf-8"), say):
            continue
        if not (is_busy(explanation) and time.monotonic() < deadline):
            raise PipelineError(f"{explanation}\nThe whole output is in {log.relative_to(root)}")


def _follow(command: Sequence[str], root: Path, log: Path, output: ReproOutput) -> int:
    # A group of its own: ending dvc alone would leave the training it started running. Descriptors stay
    # open so that dvc holds the project's lock as long as it lives.
    with log.open("w", encoding="utf-8") as file, subprocess.Popen(
        command, cwd=root, env=environment(stage_python(root)), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, close_fds=False,
    ) as process:  # fmt: skip
        _running.add(process)
        try:
            if _ending.is_set():
                _interrupt(process)
            for line in process.stdout or ():
                file.write(line)
                file.flush()
                output.add(line.rstrip("\n"))
            return process.wait()
        finally:
            _running.discard(process)
            _end(process)


def end_all() -> None:
    """End every `dvc repro` of this process, those that other threads wait for, too, and let none start any more."""
    _ending.set()
    for process in list(_running):
        _interrupt(process)


def _interrupt(process: "subprocess.Popen[str]") -> None:
    """Ask dvc, and the stage it runs, to end."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)


def call(root: Path, *words: str) -> None:
    """Run a dvc command for its effect; raises PipelineError if it fails."""
    _answer(root, *words, failure=f"dvc {words[0]} failed in {root}")


def default_remote(root: Path) -> str:
    """Return name and address of the default remote.

    Raises:
        PipelineError: if none is set.
    """
    name = _answer(root, "config", "core.remote", failure="no default remote")
    return f"{name}: {_answer(root, 'config', f'remote.{name}.url', failure='no default remote')}"


@cache
def cache_folder(root: Path) -> Path:
    """Return the folder of DVC's cache.

    Raises:
        PipelineError: if dvc cannot tell.
    """
    return Path(_answer(root, "cache", "dir", failure="dvc cache dir failed"))


def environment(first: Path | None = None) -> dict[str, str]:
    """Return the environment for dvc, in which stages find the Python that runs this program, or that in `first`."""
    path = os.pathsep.join(
        [*([str(first)] if first else []), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    )
    # Where other work shares the cores, torch's threads lose most of their time spinning for each other.
    patient = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {**patient, **os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **TELEMETRY_OFF}


def _answer(root: Path, *words: str, failure: str) -> str:
    """Run a short dvc command and return its output; raises PipelineError with `failure` and dvc's reason."""
    done = _run(root, *words)
    if done.returncode != 0:
        # The last line may be a link only.
        reasons = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise PipelineError(f"{failure}: {'; '.join(reasons) or _last_line(done.stderr)}")
    return done.stdout.strip()


def _run(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*_DVC, *words]
    return subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, check=False)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process group: SIGINT lets dvc release its locks, SIGKILL follows if it does not."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
