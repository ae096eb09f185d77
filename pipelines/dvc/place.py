"""Where a project lies, as DVC and git see it: make DVC work there, and say what will not."""

import configparser
from collections.abc import Callable
from pathlib import Path

from pipelines.dvc import command as dvc
from pipelines.dvc.git import Repository, repository_state

_SHARED, _LOCAL = Path(".dvc", "config"), Path(".dvc", "config.local")
_NEEDS_GIT = "naslora data log and diff, dvc exp, sweeps and the code revision of models"


def settle(root: Path, say: Callable[[str], None]) -> Repository:
    """Make DVC work where the project lies, and say in one line what will not for want of git.

    In a folder without a repository, as one unpacked from a ZIP file, DVC refuses every command unless its setting
    core.no_scm is true; before the first commit DVCLive does. The setting is made in .dvc/config.local, which git
    ignores, and removed once there is a commit.

    Args:
        root: the project's folder.
        say: gets the line; nothing where git holds the project.

    Raises:
        PipelineError: if DVC's settings cannot be written.
    """
    found = repository_state(root)
    without = found.state == "no commit" or not _is_in_repository(root)
    told = _does_without(root / _LOCAL)
    if without and not told and (root / _SHARED).is_file() and not _does_without(root / _SHARED):
        dvc.call(root, "config", "--local", "core.no_scm", "true")
    elif told and not without:
        dvc.call(root, "config", "--local", "--unset", "core.no_scm")
    if found.state != "found":
        say(f"{found.reason}: {_NEEDS_GIT} are not available; to have them: {found.remedy}")
    return found


def _is_in_repository(root: Path) -> bool:
    """Return whether DVC, which finds a repository without the program git, will find one."""
    return any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))


def _does_without(file: Path) -> bool:
    """Return whether a file of DVC's settings tells it to do without git."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read(file, encoding="utf-8")
        return settings.getboolean("core", "no_scm", fallback=False)
    except (configparser.Error, ValueError):
        # DVC itself will say what is wrong with its file.
        return False
