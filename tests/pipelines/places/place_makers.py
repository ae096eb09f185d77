"""Places that a project may lie in, each made from a project as its owner has pushed it."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


@dataclass(frozen=True)
class Place:
    """A project in some place.

    Args:
        root: the project's folder.
        environment: what is different in it for programs.
        has_git: whether git holds it, so that versions and the code revision are known.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    has_git: bool = True


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; returns what it prints."""
    # Submodules and shallow clones of folders ask for these two.
    allowed = ("-c", "protocol.file.allow=always")
    command = ["git", *AUTHOR, *allowed, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, subject: str) -> None:
    """Commit all there is."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", subject)


def subfolder(base: Path, folder: Path) -> Place:
    """One of two projects in a larger repository, whose other files have changed."""
    git(folder, "init", "--quiet")
    for name in ("project", "other"):
        unpack(base, folder / name)
    commit(folder, "Two projects")
    (folder / "other" / "params.yaml").write_text("seed: 8\n")
    (folder / "notes.py").write_text("")
    git(folder, "add", "notes.py")
    return Place(folder / "project")


def worktree(base: Path, folder: Path) -> Place:
    """A worktree of a clone, whose .git is a file."""
    git(folder, "clone", "--quiet", str(base), "clone")
    git(folder / "clone", "worktree", "add", "--quiet", "-b", "trial", str(folder / "tree"))
    return Place(folder / "tree")


def submodule(base: Path, folder: Path) -> Place:
    """A submodule of another repository, with no branch checked out."""
    git(folder, "init", "--quiet")
    git(folder, "submodule", "--quiet", "add", str(base), "libs/project")
    commit(folder, "Use a project")
    git(folder / "libs" / "project", "checkout", "--quiet", "--detach")
    return Place(folder / "libs" / "project")


def linked_data(base: Path, folder: Path) -> Place:
    """A clone whose data lies on another disk."""
    git(folder, "clone", "--quiet", str(base), "clone")
    (folder / "disk").mkdir()
    (folder / "clone" / "data").symlink_to(folder / "disk")
    return Place(folder / "clone")


def odd_name(base: Path, folder: Path) -> Place:
    """A shallow clone in a folder whose name shells and addresses trip over."""
    name = "Lena's Blätter, 50 % [neu] & $alt"
    git(folder, "clone", "--quiet", "--depth", "1", f"file://{base}", name)
    return Place(folder / name)


def other_owner(base: Path, folder: Path) -> Place:
    """A clone that another user owns, which git does not read before it is told to."""
    git(folder, "clone", "--quiet", str(base), "clone")
    return Place(folder / "clone", {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, has_git=False)


def unpacked(base: Path, folder: Path) -> Place:
    """A folder without git, as of a ZIP file."""
    unpack(base, folder / "project")
    return Place(folder / "project", has_git=False)


def without_commit(base: Path, folder: Path) -> Place:
    """A repository that has been made and not used yet."""
    unpack(base, folder / "project")
    git(folder / "project", "init", "--quiet")
    return Place(folder / "project", has_git=False)


def unpack(base: Path, folder: Path) -> None:
    """Write the files that are committed into a folder, and nothing of git's."""
    folder.mkdir()
    subprocess.run(f"git archive HEAD | tar -x -C '{folder}'", cwd=base, shell=True, check=True)


def copy_bytecode(base: Path, root: Path) -> None:
    """Give a place the compiled files of its base, which are the same and take seconds to make."""
    for folder in base.glob("[nsp]*/**/__pycache__"):
        shutil.copytree(folder, root / folder.relative_to(base), dirs_exist_ok=True)


PLACES: dict[str, Callable[[Path, Path], Place]] = {
    make.__name__: make
    for make in (subfolder, worktree, submodule, linked_data, odd_name, other_owner, unpacked, without_commit)
}
