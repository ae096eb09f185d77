"""The pointers that DVC keeps in git (*.dvc), and whether the files they name are here or on a remote."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from naslora_core.errors import PipelineError
from pipelines.dvc.command import environment

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
