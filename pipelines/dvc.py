"""Every call of the dvc command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from naslora_core.errors import PipelineError
from pipelines.transcript import Transcript

_GRACE_S = 10.0


@dataclass(frozen=True)
class Changes:
    """What `dvc status` reports.

    Args:
        stages: addresses of the stages whose inputs, settings or outputs changed, as "merge@leaf_lesions".
    """

    stages: tuple[str, ...]

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains with at least one changed stage, sorted."""
        return tuple(sorted({stage.partition("@")[2] for stage in self.stages if "@" in stage}))


def status(root: Path) -> Changes:
    """Compare the working files with what the last run recorded; changes nothing.

    Raises:
        PipelineError: if dvc cannot tell, for instance because another dvc command runs.
    """
    done = subprocess.run(
        [*_dvc(), "status", "--json"],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        content: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise PipelineError(f"dvc status failed: {_last_line(done.stderr)}") from error
    return Changes(tuple(name for name in content if not name.endswith(".dvc")))


def repro(
    root: Path,
    targets: Sequence[str],
    say: Callable[[str], None],
    *,
    force: bool = False,
    alone: bool = False,
) -> None:
    """Bring stages up to date, telling what runs; an interruption ends dvc and the stage it runs.

    Args:
        root: the project's folder.
        targets: stages to bring up to date, with all they depend on; none is the whole pipeline.
        say: gets a line whenever a stage starts or has come further.
        force: run the stages even if nothing changed.
        alone: run the targets only, not what they depend on.

    Raises:
        PipelineError: if a stage fails; carries the stage's own message.
    """
    flags = ["--force"] * force + ["--single-item"] * alone
    log = root / ".naslora" / "dvc.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    transcript = Transcript(say)
    # A group of its own: ending dvc alone would leave the training it started running. Descriptors stay
    # open so that dvc holds the project's lock as long as it lives.
    with log.open("w", encoding="utf-8") as file, subprocess.Popen(
        [*_dvc(), "repro", *flags, *targets], cwd=root, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, close_fds=False,
    ) as process:  # fmt: skip
        try:
            for line in process.stdout or ():
                file.write(line)
                file.flush()
                transcript.add(line.rstrip("\n"))
            code = process.wait()
        finally:
            _end(process)
    if code != 0:
        raise PipelineError(f"{transcript.explain()}\nThe whole output is in {log.relative_to(root)}")


def default_remote(root: Path) -> str:
    """Return name and address of the remote that data and models are fetched from.

    Raises:
        PipelineError: if none is set.
    """
    name = _read_setting(root, "core.remote")
    return f"{name}: {_read_setting(root, f'remote.{name}.url')}"


@cache
def cache_folder(root: Path) -> Path:
    """Return the folder in which DVC keeps the contents of all versions it has fetched or added here.

    Raises:
        PipelineError: if dvc cannot tell.
    """
    done = subprocess.run(
        [*_dvc(), "cache", "dir"], cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PipelineError(f"dvc cache dir failed: {_last_line(done.stderr)}")
    return Path(done.stdout.strip())


def environment() -> dict[str, str]:
    """Return the environment for dvc: its stages find the Python that runs this, activated or not."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # Where other work shares the cores, torch's threads lose most of their time spinning for each other.
    patient = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {**patient, **os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"}


def _read_setting(root: Path, name: str) -> str:
    done = subprocess.run(
        [*_dvc(), "config", name], cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PipelineError(f"no default remote: {_last_line(done.stderr)}")
    return done.stdout.strip()


def _dvc() -> list[str]:
    return [sys.executable, "-m", "dvc"]


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
