"""All calls of git, but for the question that stages ask themselves: whether the project is in a repository."""

import shutil
import subprocess
from pathlib import Path

from naslora_core.errors import PipelineError
from stages.provenance import Repository, git_environment, repository_state

__all__ = ["Repository", "git", "is_git_installed", "repository_state", "require_repository", "run_git"]


def is_git_installed() -> bool:
    """Return whether git is installed."""
    return shutil.which("git") is not None


def require_repository(root: Path, wanted: str) -> Repository:
    """Return the state of a project's repository where git knows its versions.

    Args:
        root: the project's folder.
        wanted: what needs it, to begin the message: "versions of the data are git revisions of data.dvc".

    Raises:
        PipelineError: if git does not; says why and gives the command that helps.
    """
    found = repository_state(root)
    if found.state != "found":
        raise PipelineError(f"{wanted}, and {found.reason}; to change that: {found.remedy}")
    return found


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
        return subprocess.run(
            ["git", *words], cwd=folder, env=git_environment(), capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise PipelineError("git is not installed; versions of data and code are its revisions") from error
