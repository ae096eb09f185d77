"""Conflicts of a merge or rebase in what a run has written: name them, with the commands that solve them."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from naslora_core.errors import PipelineError
from pipelines.dvc.git import run_git

_MARKER = "<<<<<<< "
# What a run writes beside dvc.lock and the registry, and git holds, too: a side of it goes with the side of dvc.lock.
_WRITTEN_BY_RUNS = ("dvc.lock", "registry/", "artifacts/")


def require_no_conflict(root: Path, *files: Path) -> None:
    """Check that no file which says what was trained, from what, and what serves, is in conflict.

    Args:
        root: the project's folder.
        files: look at these only.

    Raises:
        PipelineError: if one is; names the files and the commands after which the models of both sides are kept and
            compared.
    """
    if any(_has_marker(path) for path in files or _records(root)):
        raise PipelineError(_explain(root))


def _records(root: Path) -> Iterator[Path]:
    yield from (root / name for name in ("params.yaml", "dvc.yaml", "data.dvc", "dvc.lock"))
    yield from root.glob("registry/*.json")
    yield from root.glob("registry/*/*.dvc")


def _has_marker(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return any(line.startswith(_MARKER) for line in file)
    except OSError:
        return False


def _explain(root: Path) -> str:
    sides = _unmerged(root)
    if not sides:
        named = [path.relative_to(root).as_posix() for path in _records(root) if _has_marker(path)]
        whole = [path for path in named if not _is_committed_with_marker(root, path)]
        other = f", or: git checkout HEAD -- {shlex.join(whole)}" if whole else "; the last commit has them, too"
        return f"{', '.join(named)} has git's marks of a conflict (<<<<<<<); correct it{other}"
    ours = {path: stages for path, stages in sides.items() if path.startswith(_WRITTEN_BY_RUNS)}
    rest = [path for path in sides if path not in ours]
    # In a merge and in a rebase "ours" and "theirs" stand for the opposite; a revision means the same in both.
    merging = _succeeds(root, "rev-parse", "--verify", "--quiet", "MERGE_HEAD")
    revision, stage = ("MERGE_HEAD", "3") if merging and _published_is_theirs(root) else ("HEAD", "2")
    commands = []
    if taken := [path for path, stages in ours.items() if stage in stages]:
        commands.append(f"git checkout {revision} -- {shlex.join(taken)}")
    if dropped := [path for path, stages in ours.items() if stage not in stages]:
        commands.append(f"git rm --quiet -- {shlex.join(dropped)}")
    if rest:
        commands.append(f"git add {shlex.join(rest)}")
    commands += [*_go_on(root, merging), "dvc pull", "naslora run"]
    lines = [f"in conflict, because another checkout has changed them meanwhile: {', '.join(sides)}."]
    if rest:
        lines.append(f"Correct {', '.join(rest)} yourself, then")
    taking = (
        "take the published models; yours is then registered after them and compared, from DVC's run cache if its "
        "inputs are still the same:"
    )
    advice = taking if ours else "go on with:"
    lines.append(advice if rest else advice[0].upper() + advice[1:])
    return "\n  ".join([" ".join(lines), *commands])


def _is_committed_with_marker(root: Path, path: str) -> bool:
    try:
        return any(line.startswith(_MARKER) for line in run_git(root, "show", f"HEAD:./{path}").stdout.splitlines())
    except PipelineError:
        return False


def _unmerged(root: Path) -> dict[str, set[str]]:
    """Return the files of the project in conflict, and which of git's stages (1 base, 2 ours, 3 theirs) each has."""
    try:
        done = run_git(root, "-c", "core.quotePath=false", "ls-files", "--unmerged", "-z")
    except PipelineError:
        return {}
    sides: dict[str, set[str]] = {}
    for entry in done.stdout.split("\0") if done.returncode == 0 else ():
        details, _, path = entry.partition("\t")
        if path:
            sides.setdefault(path, set()).add(details.split()[2])
    return sides


def _published_is_theirs(root: Path) -> bool:
    """Return whether the merge brings in what others have, as git pull does, and not a branch of one's own."""
    if not _succeeds(root, "rev-parse", "--verify", "--quiet", "@{upstream}"):
        return True
    return _succeeds(root, "merge-base", "--is-ancestor", "MERGE_HEAD", "@{upstream}")


def _go_on(root: Path, merging: bool) -> list[str]:
    if merging:
        return ["git commit --no-edit"]
    for action, sign in (("rebase", "rebase-merge"), ("rebase", "rebase-apply"), ("cherry-pick", "CHERRY_PICK_HEAD")):
        if (root / run_git(root, "rev-parse", "--git-path", sign).stdout.strip()).exists():
            return [f"git -c core.editor=true {action} --continue"]
    return []


def _succeeds(root: Path, *words: str) -> bool:
    return run_git(root, *words).returncode == 0
