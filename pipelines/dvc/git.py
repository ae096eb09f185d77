"""Every call of git."""

import shutil
import subprocess
from pathlib import Path

from naslora_core.errors import PipelineError


def is_git_installed() -> bool:
    """Say whether there is a git to call."""
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
    """Run a git command in a folder and return how it ended, for callers that explain a failure themselves.

    Raises:
        PipelineError: if git is not installed.
    """
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PipelineError("git is not installed; versions of data and code are its revisions") from error
