"""Take over data that others have pushed: data.dvc by git, its files from the DVC remote."""

from collections.abc import Callable
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc import command as dvc
from pipelines.dvc.git import git
from pipelines.run.lock import exclusive

_POINTER = "data.dvc"


def take_over_upstream(root: Path, say: Callable[[str], None]) -> bool:
    """Go forward to the upstream branch if its data is another one, and fetch that.

    A DVC remote itself holds nameless contents; which of them are meant is said by data.dvc in git. Where work of
    one's own stands in the way, or a run holds the project, nothing is touched, and the next look tries again.

    Args:
        root: the project's folder, on a branch with an upstream.
        say: told what was taken over, or why not.

    Returns:
        Whether data was taken over.
    """
    try:
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
