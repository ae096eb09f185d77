"""Provenance of results: what git knows of the project, and the versions of the packages that compute."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

_PACKAGES = ("naslora", "torch", "segment-anything", "numpy", "pandas", "pillow", "matplotlib")
# A hook of git's, which may start naslora, has these set for the repository that it belongs to, relative to its top.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
# One of them that is committed makes a repository the project's; around an unpacked ZIP file may lie any other.
_PROJECT_FILES = ("dvc.yaml", "data.dvc", ".dvc/config")
_COMMIT = "git add . && git commit -m 'First version'"
_MAKE_ONE = f"git init && {_COMMIT}"


@dataclass(frozen=True)
class Repository:
    """What git says of a project's folder.

    Args:
        state: "found" where the project is committed; else what keeps git from telling its versions.
        reason: the same in words, a clause that a sentence may begin with; the short commit where it is found.
        remedy: the command that changes it; "" where it is found.
        commit: the full hash of the commit that is checked out; "" unless found.
    """

    state: Literal["found", "no program", "no repository", "no commit", "not tracked", "other owner", "unreadable"]
    reason: str
    remedy: str = ""
    commit: str = ""


@dataclass(frozen=True)
class Revision:
    """The commit that is checked out.

    Args:
        commit: its full hash.
        is_changed: whether files differ from it.
    """

    commit: str
    is_changed: bool


def git_environment() -> dict[str, str]:
    """Return the environment for git: it answers in English, asks no questions and takes no lock to look around."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def repository_state(root: Path) -> Repository:
    """Return what git says of a project's folder: that it holds it, or why not and what to do.

    The folder may be a whole repository, a subfolder of a larger one, a worktree or a submodule.

    Args:
        root: the project's folder.
    """
    try:
        asked = _git(root, "rev-parse", "--verify", "HEAD")
        if asked.returncode == 0:
            return _is_tracked(root, asked.stdout.strip())
        # An address of the repository's top is there before the first commit, too.
        top = _git(root, "rev-parse", "--show-toplevel")
    except FileNotFoundError:
        return Repository("no program", "the program git is not installed", "install git, then run again")
    if top.returncode == 0:
        return Repository("no commit", "the git repository has no commit yet", _COMMIT)
    said = top.stderr.strip()
    if "dubious ownership" in said:
        # Git's own line, with the folder that it means: the top of the repository, which may be above the project.
        remedy = next(line.strip() for line in said.splitlines() if line.strip().startswith("git config"))
        return Repository("other owner", "the folder belongs to another user, so git does not read it", remedy)
    if "not a git repository (or any" in said:
        return Repository("no repository", "the folder is in no git repository", _MAKE_ONE)
    reason = f"git cannot read the repository: {said.removeprefix('fatal: ')}"
    remedy = "git worktree repair, in the repository that the worktree is of; or clone the project again"
    return Repository("unreadable", reason, remedy)


def _is_tracked(root: Path, commit: str) -> Repository:
    if _git(root, "ls-files", "--", *_PROJECT_FILES).stdout:
        return Repository("found", commit[:12], commit=commit)
    around = _git(root, "rev-parse", "--show-toplevel").stdout.strip()
    return Repository("not tracked", f"the git repository {around} does not hold this project", _MAKE_ONE)


def code_revision(root: Path, *counted: str) -> Revision | None:
    """Return the revision of a project, or None where `repository_state` finds none.

    Stages ask git themselves: one that `dvc repro` starts has no pipeline above it that could hand the revision in.

    Args:
        root: the project's folder.
        counted: options and paths of `git status` that say in which files a difference counts. Paths are relative
            to `root`, and nothing outside of it counts.
    """
    found = repository_state(root)
    return _revision(root, found, counted) if found.commit else None


def _revision(root: Path, found: Repository, counted: tuple[str, ...]) -> Revision:
    return Revision(found.commit, is_changed=bool(_git(root, "status", "--porcelain", *counted).stdout))


def provenance(root: Path) -> dict[str, str]:
    """Return versions by name, and the git revision of the project, or why there is none.

    Args:
        root: the project's folder.
    """
    found = repository_state(root)
    said = f"none: {found.reason}"
    if found.commit:
        revision = _revision(root, found, ("--", "naslora_core", "stages", "pipelines", "params.yaml"))
        said = revision.commit + ", with changes that are not committed" * revision.is_changed
    packages = {name: version(name) for name in _PACKAGES}
    return {"code revision": said, "python": platform.python_version(), **packages}


def _git(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *words], cwd=root, env=git_environment(), capture_output=True, text=True, check=False, errors="replace"
    )
