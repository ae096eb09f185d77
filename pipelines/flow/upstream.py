"""Pull data that others have pushed: data.dvc by git, its files from the DVC remote."""

from collections.abc import Callable
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc import command as dvc
from pipelines.dvc.git import git, require_repository, run_git
from pipelines.run.lock import exclusive

# Relative to the project, which may be a subfolder of the repository.
_POINTER = "./data.dvc"


def pull_upstream(root: Path, say: Callable[[str], None]) -> bool:
    """Fast-forward to the upstream branch if its data.dvc differs, and pull that data.

    A DVC remote stores contents by hash; data.dvc in git names the current ones. If local changes prevent the
    fast-forward, or a run holds the project, nothing is changed, and the next poll tries again.

    Args:
        root: the project's folder, on a branch with an upstream.
        say: gets a line that says what was pulled, or why nothing was.

    Returns:
        Whether data was pulled.
    """
    try:
        _require_upstream(root)
        git(root, "fetch", "--quiet")
        if git(root, "rev-parse", f"@{{upstream}}:{_POINTER}") == git(root, "rev-parse", f"HEAD:{_POINTER}"):
            return False
        with exclusive(root, 0, say):
            git(root, "merge", "--quiet", "--ff-only", "@{upstream}")
            dvc.call(root, "pull", "--quiet", _POINTER)
    except PipelineError as error:
        say(f"upstream data not taken over: {error}")
        return False
    say(f"data of {git(root, 'rev-parse', '--short', 'HEAD')} taken over from upstream")
    return True


def _require_upstream(root: Path) -> None:
    require_repository(root, "data of others comes with the commits of the upstream branch")
    if run_git(root, "symbolic-ref", "--quiet", "HEAD").returncode != 0:
        raise PipelineError("no branch is checked out, as in a submodule; check one out with: git switch <branch>")
    if run_git(root, "rev-parse", "--verify", "--quiet", "@{upstream}").returncode != 0:
        branch = git(root, "rev-parse", "--abbrev-ref", "HEAD")
        raise PipelineError(
            f"branch {branch} follows no other; name one with: git branch --set-upstream-to=origin/{branch}"
        )
