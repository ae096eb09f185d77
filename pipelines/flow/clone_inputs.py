"""What clones of a project would lack, found before the first job starts."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from naslora_core.config import Params
from naslora_core.errors import PipelineError
from pipelines.dvc.git import git
from pipelines.dvc.pointers import IN_CACHE, Pointer, read_pointer, states

# What a run writes, and where remotes are; no job reads them.
_NO_INPUTS = ("dvc.lock", "artifacts/", "registry/", "serving/", ".naslora/", ".dvc/")


def pointers_for_jobs(root: Path, params: Params, domains: Sequence[str]) -> tuple[str, ...]:
    """Return the pointers whose files jobs on some domains read.

    Args:
        root: the project's folder.
        params: its settings.
        domains: what the jobs are about.

    Returns:
        The pointers, relative to the project, as "data.dvc".

    Raises:
        PipelineError: if a clone would lack something; names everything, and the command that mends it.
    """
    committed = _names(git(root, "ls-files", "-z"))
    uncommitted = _names(git(root, "ls-files", "-z", "--others", "--exclude-standard"))
    names = sorted(name for name in {*committed, *uncommitted} if name.endswith(".dvc"))
    pointers = [read_pointer(root, name) for name in names if not name.startswith(_NO_INPUTS)]
    problems: list[str] = []
    needed: dict[str, Pointer] = {}
    for what, path in _inputs(params, domains):
        covering = [pointer for pointer in pointers if pointer.covers(path)]
        needed |= {pointer.file: pointer for pointer in covering}
        if not covering and not any(name == path or name.startswith(f"{path}/") for name in committed):
            problems.append(_untracked(root, what, path))
    problems += _uncommitted(root, uncommitted, needed)
    problems += _not_in_cache(root, [*needed.values()])
    problems += [
        f"the data of '{domain}': data/{domain}/dataset.yaml not found; bring images in with naslora data import"
        for domain in domains
        if (root / "data").is_dir() and not (root / "data" / domain / "dataset.yaml").is_file()
    ]
    if problems:
        raise PipelineError(
            "jobs work in clones, which hold the last commit and what DVC tracks. Not in there:\n"
            + "\n".join(f"- {problem}" for problem in problems)
        )
    return tuple(needed)


def stages_shared_by_jobs(root: Path) -> tuple[str, ...]:
    """Return the stages before training: the same for all jobs on a domain, whatever their method and seed."""
    names = list(_pipeline(root)["stages"])
    return tuple(names[: names.index("search_train")])


def _inputs(params: Params, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the jobs read besides code, and where it is, relative to the project."""
    for domain in domains:
        yield f"the data of '{domain}'", f"data/{domain}"
    if not params.model.checkpoint.is_absolute():
        yield "the base model", params.model.checkpoint.as_posix()


def _untracked(root: Path, what: str, path: str) -> str:
    if path.startswith("../"):
        return f"{what}, {path}, outside the project; write its absolute path into params.yaml, or copy it to models/"
    track = path.partition("/")[0] if path.startswith("data/") else path
    if (root / path).exists():
        return (
            f"{what}, {path}, which neither git nor DVC tracks: "
            f"dvc add {track} && git add {track}.dvc && git commit -m 'track {track}'"
        )
    return f"{what}, {path}, which is not there and which neither git nor DVC tracks; bring it here and dvc add {track}"


def _uncommitted(root: Path, untracked: Sequence[str], needed: dict[str, Pointer]) -> Iterator[str]:
    code = {str(dep).partition("/")[0] for stage in _pipeline(root)["stages"].values() for dep in stage.get("deps", ())}
    code -= {"data", "artifacts"}
    # Relative to the project and of the project only, which may be a folder of a larger repository.
    changed = _names(git(root, "diff", "HEAD", "--name-only", "--relative", "-z", "--", "."))
    files = [name for name in changed if not name.startswith(_NO_INPUTS) and (name in needed or name[-4:] != ".dvc")]
    files += [name for name in untracked if name in needed or name in ("params.yaml", "dvc.yaml")]
    files += [name for name in untracked if name.endswith(".py") and name.partition("/")[0] in code]
    if files:
        yield f"changes since the last commit: git add {shlex.join(sorted(files))} && git commit -m 'for a sweep'"


def _not_in_cache(root: Path, pointers: Sequence[Pointer]) -> Iterator[str]:
    found = states(root, [pointer.file for pointer in pointers]) if pointers else {}
    for pointer in pointers:
        if (state := found[pointer.file]) in IN_CACHE:
            continue
        if state == "not in cache" and not (root / pointer.path).exists():
            yield f"{pointer.path}, which is not in DVC's cache: dvc fetch {pointer.file}"
        else:
            why = "has changed since" if state == "modified" else "is not in DVC's cache as"
            yield (
                f"{pointer.path}, which {why} {pointer.file} was written: "
                f"dvc add {pointer.path} && git add {pointer.file} && git commit -m 'new {pointer.path}'"
            )


def _pipeline(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load((root / "dvc.yaml").read_text(encoding="utf-8"))
    return content


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]
