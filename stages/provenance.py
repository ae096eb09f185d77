"""Provenance of results: the git revision of the code, and the versions of the packages that compute."""

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("naslora", "torch", "segment-anything", "numpy", "pandas", "pillow", "matplotlib")


@dataclass(frozen=True)
class Revision:
    """The commit that is checked out.

    Args:
        commit: its full hash.
        is_changed: whether files differ from it.
    """

    commit: str
    is_changed: bool


def code_revision(root: Path, *counted: str) -> Revision | None:
    """Return the revision of a project, or None without git, outside of a repository and before its first commit.

    Stages ask git themselves: one that `dvc repro` starts has no pipeline above it that could hand the revision in.

    Args:
        root: the project's folder.
        counted: options and paths of `git status` that say in which files a difference counts.
    """
    try:
        commit, changed = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", *counted)
    except (OSError, subprocess.CalledProcessError):
        return None
    return Revision(commit, is_changed=bool(changed))


def provenance(root: Path) -> dict[str, str]:
    """Return versions by name, and the git revision of the project where there is one.

    Args:
        root: the project's folder.
    """
    revision = code_revision(root, "--", "naslora_core", "stages", "pipelines", "params.yaml")
    if revision is None:
        said = "none: the project is not in a git repository"
    else:
        said = revision.commit + ", with changes that are not committed" * revision.is_changed
    packages = {name: version(name) for name in _PACKAGES}
    return {"code revision": said, "python": platform.python_version(), **packages}


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
