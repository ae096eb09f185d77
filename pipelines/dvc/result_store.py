"""Results on a DVC remote: the entries of run caches, and the objects that they name."""

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from naslora_core.errors import PipelineError
from pipelines.dvc.repository import first_line

# runs/<2 digits>/<hash of the inputs>/<hash of inputs and outputs>; anything else there is unfinished.
_ENTRY = re.compile(r"runs/[0-9a-f]{2}/[0-9a-f]{64}/[0-9a-f]{64}$")
# How long a remote that did not answer is left alone by this process, in seconds.
_REST_S = 600.0
_silent_since: dict[tuple[str, str], float] = {}


class UnreachableError(PipelineError):
    """The remote does not answer, or cannot hold results.

    Args:
        message: says which remote and why.
        is_new: whether it was asked now, and not in the last minutes.
    """

    def __init__(self, message: str, is_new: bool = True) -> None:
        super().__init__(message)
        self.is_new = is_new


class ResultStore:
    """The results on one remote.

    Args:
        repo: from `opened`.
        name: of the remote; None is the default remote.
        insist: ask the remote even if it did not answer a moment ago.

    Raises:
        UnreachableError: if there is no such remote, it does not answer, or is of a kind that holds no results.
    """

    def __init__(self, repo: Any, name: str | None, insist: bool = False) -> None:
        self._repo = repo
        self._wanted = name
        self.name = name or str(repo.config["core"].get("remote") or "")
        key = (str(repo.root_dir), self.name)
        if not insist and time.monotonic() - _silent_since.get(key, -_REST_S) < _REST_S:
            raise UnreachableError(f"remote '{self.name}' did not answer a moment ago", is_new=False)
        try:
            self._odb = repo.cloud.get_remote_odb(name, "push --run-cache", hash_name="md5-dos2unix")
            self.entries = self._list()
        except Exception as error:
            # Missing plugins, wrong credentials, no network: each storage has errors of its own.
            _silent_since[key] = time.monotonic()
            raise UnreachableError(self._explain(error)) from error

    def fetch_entries(self) -> int:
        """Copy the entries that are not here; returns how many."""
        new = sorted(self.entries - local_entries(self._repo))
        _copy(self._odb, self._repo.cache.legacy, new)
        return len(new)

    def send_entries(self, entries: Iterable[str]) -> None:
        """Copy entries to the remote, whose objects are there already."""
        _copy(self._repo.cache.legacy, self._odb, sorted(entries))

    def send_objects(self, objects: Iterable[Any]) -> int:
        """Send objects that the remote lacks; returns how many.

        Raises:
            PipelineError: if some did not arrive.
        """
        objects = set(objects)
        done = self._repo.cloud.push(objects, remote=self._wanted) if objects else None
        if done is not None and done.failed:
            raise PipelineError(
                f"{len(done.failed)} of {len(objects)} files could not be written to remote '{self.name}'; nothing "
                "refers to those that were. Look at its free space and your rights, then run again"
            )
        return len(done.transferred) if done is not None else 0

    def fetch_objects(self, stage: Any) -> int:
        """Fetch the outputs of a stage from `made_by` as far as the remote has them; returns how many files."""
        from dvc.exceptions import CollectCacheError

        count = 0
        try:
            used = stage.get_used_objs(remote=self._wanted)
        except CollectCacheError:
            # A folder whose list of files is neither here nor there.
            return 0
        for objects in used.values():
            count += len(self._repo.cloud.pull(objects, remote=self._wanted).transferred)
        return count

    def _list(self) -> set[str]:
        from dvc.fs import LocalFileSystem

        fs, top = self._odb.fs, self._odb.path
        if fs.protocol in ("http", "https"):
            raise PipelineError("an HTTP server cannot list what it holds")
        if isinstance(fs, LocalFileSystem) and not _can_be_made(Path(top)):
            raise PipelineError(f"there is no folder {top}, and none can be made")
        runs = fs.join(top, "runs")
        found = fs.find(runs) if fs.exists(runs) else ()
        names = (fs.as_posix(fs.relpath(path, top)) for path in found)
        return {name for name in names if _ENTRY.match(name)}

    def _explain(self, error: Exception) -> str:
        if not self.name:
            return "the project has no default DVC remote; name one with dvc remote add --default NAME ADDRESS"
        if self.name not in self._repo.config["remote"]:
            known = ", ".join(self._repo.config["remote"]) or "none"
            return f"there is no DVC remote '{self.name}'; remotes: {known}"
        return f"remote '{self.name}' cannot be used for results: {first_line(error)}"


def local_entries(repo: Any) -> set[str]:
    """Return the entries of the run cache on this machine, as "runs/<2 digits>/<inputs>/<inputs and outputs>"."""
    top = Path(repo.stage_cache.cache_dir).parent
    names = (path.relative_to(top).as_posix() for path in (top / "runs").glob("??/*/*"))
    return {name for name in names if _ENTRY.match(name)}


def read_entry(repo: Any, entry: str) -> dict[str, Any] | None:
    """Return the content of an entry on this machine; None if it is gone or cannot be read."""
    key, value = entry.split("/")[-2:]
    content = repo.stage_cache._load_cache(key, value)
    return content if content and content.get("outs") else None


def newest_entry(repo: Any, key: str) -> dict[str, Any] | None:
    """Return the content of the newest entry on this machine for inputs with this hash; None if there is none."""
    folder = Path(repo.stage_cache.cache_dir, key[:2], key)
    entries = [path for path in folder.glob("*") if _ENTRY.match(f"runs/{key[:2]}/{key}/{path.name}")]
    newest = max(entries, key=lambda path: path.stat().st_mtime, default=None)
    return read_entry(repo, f"runs/{key[:2]}/{key}/{newest.name}") if newest else None


def _can_be_made(folder: Path) -> bool:
    """Return whether a folder exists, or could be made in the nearest one above it that exists."""
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    return existing.is_dir() and (existing == folder or os.access(existing, os.W_OK))


def _copy(source: Any, target: Any, entries: list[str]) -> None:
    """Copy entries between two stores; a file appears under its name when it is complete."""
    from dvc_objects.fs.generic import copy

    if entries:
        paths = [[store.fs.join(store.path, *entry.split("/")) for entry in entries] for store in (source, target)]
        copy(source.fs, paths[0], target.fs, paths[1])
