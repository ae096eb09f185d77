"""Every call of git."""

import subprocess
from pathlib import Path

from naslora_core.errors import PipelineError


def git(folder: Path, *words: str) -> str:
    """Run a git command in a folder and return what it printed, without the white space around it.

    Raises:
        PipelineError: if it fails; carries what git said.
    """
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PipelineError(f"git {words[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip()
