"""The pointers that DVC keeps in git (*.dvc), and whether the files they name are here or on a remote."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from naslora_core.errors import PipelineError
from pipelines.dvc.command import environment
from pipelines.dvc.git import git, is_git_installed, run_git
from pipelines.dvc.repository import is_cached, made_by, opened

# What `dvc status` calls a folder or file that is not in the workspace but in the cache.
IN_CACHE = ("", "deleted")


@dataclass(frozen=True)
class Pointer:
    """A file in git that names the content of one folder or file.

    Args:
        file: the pointer, relative to the project, as "data.dvc".
        path: what it names, relative to the project, as "data".
    """

    file: str
    path: str

    def covers(self, path: str) -> bool:
        """Return whether `path`, relative to the project, is what the pointer names, in it, or around it."""
        own, other = PurePosixPath(self.path), PurePosixPath(path)
        return other.is_relative_to(own) or own.is_relative_to(other)


def read_pointer(root: Path, file: str) -> Pointer:
    """Read a pointer.

    Args:
        root: the project's folder.
        file: the pointer, relative to it.

    Raises:
        PipelineError: if it names nothing.
    """
    try:
        content = YAML(typ="safe").load((root / file).read_text(encoding="utf-8"))
        named = PurePosixPath(content.get("wdir", "."), content["outs"][0]["path"])
    except (OSError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise PipelineError(f"{file} is no pointer of DVC's; restore it: git checkout -- {file}") from error
    return Pointer(file, (PurePosixPath(file).parent / named).as_posix())


def states(root: Path, pointers: Sequence[str]) -> dict[str, str]:
    """Return what `dvc status` says of each pointer.

    Returns:
        By pointer: "" if workspace and cache hold what it names; "deleted" if the cache does; "modified" if the
        workspace holds something else; "not in cache" if the cache lacks some of it.

    Raises:
        PipelineError: if dvc cannot tell, with its words.
    """
    found = json.loads(ask(root, "status", "--json", *pointers))
    changes = {file: [*entry[0].get("changed outs", {}).values()] for file, entry in found.items() if entry}
    return {file: next(iter(changes.get(file, [])), "") for file in pointers}


def not_on_remote(root: Path, remote: str, pointers: Sequence[str]) -> int:
    """Return how many files that the pointers name are not on a remote.

    Args:
        root: the project's folder.
        remote: the remote's name.
        pointers: which ones.

    Raises:
        PipelineError: if the remote cannot be reached, with dvc's words.
    """
    found = json.loads(ask(root, "status", "--cloud", "--json", "--remote", remote, *pointers))
    return sum(state in ("new", "missing") for state in found.values())


def earlier_commit(root: Path, file: str) -> str | None:
    """Return a commit whose pointer names what lies in the workspace, where the present one names something else.

    So it is after `git pull` without `dvc pull`, or `git checkout` without `dvc checkout`.

    Args:
        root: the project's folder.
        file: the pointer, relative to it.

    Returns:
        Its short hash; None if the workspace holds something new, or what the pointer names, or the pointer is not
        as the last commit has it.

    Raises:
        PipelineError: if dvc cannot tell.
    """
    if not is_git_installed() or run_git(root, "diff", "--quiet", "HEAD", "--", file).returncode != 0:
        return None
    with opened(root, f"comparing {file}") as repo:
        (out,) = repo.stage.load_one(str(root / file)).outs
        present = out.get_hash() if out.exists else out.hash_info
        if present == out.hash_info:
            return None
    # The oldest commit that touched this hash brought it in.
    commits = run_git(root, "log", "--reverse", "--format=%h", f"-S{present.value}", "--", file).stdout.split()
    return commits[0] if commits else None


def fetch_of(root: Path, revision: str, pointers: Sequence[str]) -> None:
    """Fetch into DVC's cache what pointers name in another commit; the checkout stays as it is.

    Args:
        root: the project's folder.
        revision: the commit.
        pointers: paths relative to the project; the commit has them.

    Raises:
        PipelineError: if the default remote cannot be used, or lacks some of it.
    """
    with opened(root, f"fetching {', '.join(pointers)}") as repo:
        lacking = [file for file in pointers if not _fetch(repo, made_by(repo, root, _entry(root, revision, file)))]
    if lacking:
        raise PipelineError(f"the default remote lacks what {', '.join(lacking)} names; where it was added: dvc push")


def _fetch(repo: Any, named: Any) -> bool:
    """Fetch outputs from the default remote, as far as it has them; returns whether all are in the cache now."""
    from dvc.exceptions import CollectCacheError

    if is_cached(named):
        return True
    try:
        for objects in named.get_used_objs().values():
            repo.cloud.pull(objects)
    except CollectCacheError:
        # A folder whose list of files is neither here nor there.
        return False
    return is_cached(named)


def _entry(root: Path, revision: str, file: str) -> dict[str, Any]:
    """Return what a pointer names in a commit, in the form of an entry of the run cache."""
    try:
        content = YAML(typ="safe").load(git(root, "show", f"{revision}:./{file}"))
        folder = PurePosixPath(file).parent / content.get("wdir", ".")
        return {"cmd": "", "outs": [{**out, "path": (folder / out["path"]).as_posix()} for out in content["outs"]]}
    except (YAMLError, LookupError, TypeError, AttributeError) as error:
        raise PipelineError(f"{file} of commit {revision[:7]} is no pointer of DVC's") from error


def ask(root: Path, *words: str) -> str:
    """Run a dvc command and return what it printed.

    Raises:
        PipelineError: if it fails, with all that dvc said about it. Not to be called with --quiet, which keeps dvc
            from saying anything.
    """
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PipelineError(f"dvc {words[0]} failed in {root}: {_own_words(done.stderr) or _own_words(done.stdout)}")
    return done.stdout.strip()


def _own_words(printed: str) -> str:
    """Return dvc's errors without its bars and addresses of help pages; all it printed if there are none."""
    lines = [line.rsplit("\r", 1)[-1].strip() for line in printed.splitlines()]
    lines = [line for line in lines if line and not line.startswith("<https://")]
    first = next((place for place, line in enumerate(lines) if line.startswith("ERROR:")), 0)
    return "\n".join(lines[first:]).removeprefix("ERROR:").strip()
