"""Say which files of a finished run belong into git."""

from collections.abc import Sequence
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc.git import is_git_installed, run_git

# What git holds of a project (docs/teams.md); everything else in artifacts/ and registry/ is ignored by git.
_RECORDS = ("dvc.lock", "data.dvc", "params.yaml", "models/*.dvc", "registry/*.json", "registry/*/*.dvc",
            "artifacts/search_train/*/metrics.json", "artifacts/search_train/*/history.csv",
            "artifacts/evaluate/*/metrics.json")  # fmt: skip


def files_to_commit(root: Path) -> tuple[str, ...]:
    """Return the files that record results and differ from the last commit, as paths for `git add`.

    Of a folder in which nothing else differs, the folder is named instead of its files.

    Args:
        root: the project's folder; the paths are relative to it.

    Returns:
        Nothing outside git, or if git cannot tell.
    """
    if not is_git_installed():
        return ()
    records = _changed(root, *(f":(glob){pattern}" for pattern in _RECORDS))
    return tuple(_shorten(records, set(_changed(root, "artifacts", "registry"))))


def stored_in_repository(root: Path) -> str | None:
    """Return the folder of the default DVC remote if it lies inside the git repository, as the shipped one does.

    Its files would become part of the git history with the next commit.
    """
    from pipelines.dvc import command as dvc

    try:
        _, _, address = dvc.default_remote(root).partition(": ")
        top = run_git(root, "rev-parse", "--show-toplevel")
    except PipelineError:
        return None
    if top.returncode != 0 or not address or "://" in address:
        return None
    # An address in .dvc/config is relative to .dvc/.
    folder = (root / ".dvc" / address).resolve()
    is_inside = folder.is_relative_to(Path(top.stdout.rstrip("\n")).resolve())
    return str(folder) if is_inside and not _is_ignored(root, folder) else None


def _changed(root: Path, *paths: str) -> list[str]:
    """Return what differs from the last commit, relative to the project."""
    prefix = run_git(root, "rev-parse", "--show-prefix")
    status = run_git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *paths)
    if prefix.returncode != 0 or status.returncode != 0:
        return []
    # Names begin after two letters of state and a blank; they are relative to the top of the repository.
    return [entry[3:].removeprefix(prefix.stdout.rstrip("\n")) for entry in status.stdout.split("\0") if entry]


def _shorten(records: Sequence[str], changed: set[str]) -> list[str]:
    wanted = set(records)
    short: list[str] = []
    for path in records:
        top = path.split("/")[0]
        inside = {other for other in changed if other.startswith(f"{top}/")}
        name = top if "/" in path and inside and inside <= wanted and top in ("artifacts", "registry") else path
        if name not in short:
            short.append(name)
    return short


def _is_ignored(root: Path, folder: Path) -> bool:
    # Asked for a file in it: a pattern for folders does not match one that is not there yet.
    return run_git(root, "check-ignore", "--quiet", str(folder / "file")).returncode == 0
