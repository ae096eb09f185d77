"""Keep folders as a whole in DVC: track them, send them to the default remote and fetch them from there."""

import time
from collections.abc import Sequence
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc.command import call
from pipelines.dvc.kept import LocalCache
from pipelines.dvc.lock_file import tracked_outputs
from pipelines.dvc.other_processes import is_busy, wait_for_others

_WAIT_S = 60.0


def pointer(path: Path) -> Path:
    """Return the small file by which git knows a file or folder that DVC keeps."""
    return path.with_name(path.name + ".dvc")


def track(root: Path, folder: Path) -> None:
    """Store a folder in DVC's cache and write its pointer; what an earlier pointer said is replaced.

    Raises:
        PipelineError: if dvc fails, with its reason.
    """
    _dvc(root, "add", "--quiet", folder.relative_to(root).as_posix())


def send(root: Path, folders: Sequence[Path]) -> None:
    """Send folders that DVC tracks to the default remote; what is not in the cache is left out without a word.

    Raises:
        PipelineError: if dvc fails, with its reason.
    """
    _dvc(root, "push", *(pointer(folder).relative_to(root).as_posix() for folder in folders))


def fetch(root: Path, folders: Sequence[Path]) -> None:
    """Fetch folders by their pointers, from the cache or the default remote; files that differ are replaced.

    Raises:
        PipelineError: if dvc fails, with its reason; those that there are have been fetched all the same.
    """
    _dvc(root, "pull", "--force", *(pointer(folder).relative_to(root).as_posix() for folder in folders))


def lists(root: Path, folder: Path, file: str) -> bool:
    """Return whether a folder that DVC tracks has a file of this name; False where the list of them is not here."""
    cache = LocalCache(root)
    return any(file in cache.listing(md5) for md5 in tracked_outputs(pointer(folder)).values())


def _dvc(root: Path, *words: str) -> None:
    """Run a dvc command, after others that are at work in the project."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        wait_for_others(root, deadline, lambda line: None)
        try:
            call(root, *words)
            return
        except PipelineError as error:
            if "Checkout failed" in str(error):
                raise PipelineError("the default remote does not have it") from error
            if not is_busy(str(error)) or time.monotonic() >= deadline:
                raise
