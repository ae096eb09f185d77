"""Clones of a project for jobs: what git and DVC need to be told so that they cost little and share results."""

import configparser
from dataclasses import dataclass
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc.git import git, require_repository
from pipelines.dvc.pointers import ask

# A clone reads its inputs and never writes them, so links do; where none is possible, DVC copies.
_LINKS = "reflink,hardlink,symlink,copy"


@dataclass(frozen=True)
class Remote:
    """A DVC remote.

    Args:
        name: one of the project's, whose other settings hold as well, or a new one.
        address: a folder, s3://…, gs://…, ssh://…; right in any folder.
    """

    name: str
    address: str


@dataclass(frozen=True)
class Place:
    """Where a project lies in git.

    Args:
        repository: git's own folder, which worktrees share, to be cloned.
        folder: the project in the repository's work tree; "" if it is all of it.
        revision: the commit that is checked out.
    """

    repository: str
    folder: str
    revision: str


def place_of(root: Path) -> Place:
    """Return where a project lies in git; a worktree, a submodule and a folder of a larger repository are places, too.

    Raises:
        PipelineError: if git holds no commit of it; says why and gives the command that helps.
    """
    found = require_repository(root, "jobs work in clones of a commit")
    shared = git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")
    return Place(shared, git(root, "rev-parse", "--show-prefix").rstrip("/"), found.commit)


def clone(place: Place, folder: Path) -> Path:
    """Clone the repository and return the project's folder in the clone.

    Args:
        place: what to clone.
        folder: a new folder.

    Raises:
        PipelineError: if git cannot, with its words.
    """
    # The clone is deleted before anybody could clean the repository up, so it may borrow its objects.
    borrowed = ["--shared"] if Path(place.repository).is_dir() else []
    git(folder.parent, "clone", "--quiet", *borrowed, "--no-checkout", place.repository, str(folder))
    git(folder, "checkout", "--quiet", "--detach", place.revision)
    return folder / place.folder


def configure(project: Path, state: Path, cache: str | None, remote: Remote | None) -> None:
    """Tell DVC in a clone where its cache, its notes and the remote of results are, for this clone alone.

    Args:
        project: the project in the clone.
        state: a folder for what DVC notes about this clone.
        cache: a cache to share with others on this machine; None is one of its own, or the user's setting.
        remote: becomes the default one; None leaves it as the project has it.
    """
    local = configparser.ConfigParser(interpolation=None)
    local["core"] = {"site_cache_dir": str(state)}
    if cache is not None:
        local["cache"] = {"dir": cache, "type": f'"{_LINKS}"'}
    if remote is not None:
        local["core"]["remote"] = remote.name
        local[f"'remote \"{remote.name}\"'"] = {"url": remote.address}
    with (_dvc_folder(project) / "config.local").open("w", encoding="utf-8") as file:
        local.write(file)


def find_remote(root: Path, remote: str | None) -> Remote | None:
    """Return a remote by its name or address.

    Args:
        root: the project's folder.
        remote: the name of one of the project's remotes, or an address; a relative one is of the working folder.
            None is the default remote.

    Returns:
        The remote; None if none was named and there is no default.

    Raises:
        PipelineError: if dvc cannot tell.
    """
    known = dict(line.split("=", 1) for line in ask(root, "config", "--list").splitlines() if "=" in line)
    name = remote if remote is not None else known.get("core.remote")
    if name is None:
        return None
    if address := known.get(f"remote.{name}.url"):
        return Remote(name, address)
    return Remote("results", name if "://" in name else str(Path(name).resolve()))


def is_in_repository(root: Path, remote: Remote) -> bool:
    """Return whether a remote is a folder in the repository of a project."""
    if "://" in remote.address:
        return False
    return Path(remote.address).is_relative_to(git(root, "rev-parse", "--show-toplevel"))


def _dvc_folder(project: Path) -> Path:
    """Return DVC's folder: the project's own, or that of the repository around it."""
    for folder in (project, *project.parents):
        if (folder / ".dvc").is_dir():
            return folder / ".dvc"
    raise PipelineError(f"{project} is no DVC project: no folder .dvc in it or above; make one: dvc init --subdir")
