"""The versions of the software that made a page, and the revision of the code."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("naslora", "torch", "segment-anything", "numpy", "pandas", "pillow", "matplotlib")


def software_versions(root: Path) -> dict[str, str]:
    """Return the versions of Python and of the packages by name, and the git revision of the project if there is one.

    Args:
        root: the project's folder.
    """
    packages = {name: version(name) for name in _PACKAGES}
    return {"code revision": _revision(root), "python": platform.python_version(), **packages}


def _revision(root: Path) -> str:
    try:
        git = ["git", "-C", str(root)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        code = ["naslora_core", "stages", "pipelines", "params.yaml"]
        status = [*git, "status", "--porcelain", "--", *code]
        changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none: the project is not in a git repository"
    return f"{head}, with changes that are not committed" if changed else head
