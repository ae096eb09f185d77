"""All calls of git."""

import shutil
import subprocess
from pathlib import Path

from naslora_core.errors import PipelineError


def is_git_installed() -> bool:
    """Return whether git is installed."""
    return shutil.which("git") is not None


def git(folder: Path, *words: str) -> str:
    """Run a git command in a folder and return what it printed, without the white space around it.

    Raises:
        PipelineError: if it fails, with what git said, or git is not installed.
    """
    done = run_git(folder, *words)
    if done.returncode != 0:
        raise PipelineError(f"git {words[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip()


def run_git(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a git command in a folder and return the completed process, for callers that handle failures themselves.

    Raises:
        PipelineError: if git is not installed.
    """
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PipelineError("git is not installed; versions of data and code are its revisions") from error
