"""Take over what others have pushed: commits by git, and the data and models that they name from the DVC remote."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from naslora_core.errors import NasLoraError, PipelineError
from pipelines.dvc import command as dvc
from pipelines.dvc.git import git, require_repository, run_git
from pipelines.dvc.pointers import fetch_of, states
from pipelines.models.promote import restore
from pipelines.models.version_files import pull
from pipelines.run.lock import exclusive

# There from before the commit is taken over until its data and models are in place.
_UNFINISHED = Path(".naslora", "taking_over")
_DATA = "data.dvc"


@dataclass(frozen=True)
class _Inputs:
    """What a run of a commit begins with.

    Args:
        files: pointers of the data and the base model.
        models: pointers of the models in service, by domain; "" of a domain in which none is.
    """

    files: tuple[str, ...]
    models: dict[str, str]


def pull_upstream(root: Path, say: Callable[[str], None]) -> bool:
    """Fast-forward to the upstream branch, and bring the data, the base model and the models in service it names.

    All files are fetched first, so that no run ever sees a new data.dvc beside old data. If the DVC remote lacks some,
    changes of one's own are in the way, or a run holds the project, nothing is changed, and the next look tries again.

    Args:
        root: the project's folder, on a branch with an upstream.
        say: gets a line that says what was taken over, or why nothing was.

    Returns:
        Whether something was taken over.
    """
    try:
        _require_upstream(root)
        git(root, "fetch", "--quiet")
        revision = git(root, "rev-parse", "@{upstream}")
        if _has(root, "HEAD", revision):
            if not (root / _UNFINISHED).is_file():
                return False
            revision = git(root, "rev-parse", "HEAD")
        with exclusive(root, 0, say):
            _take_over(root, revision)
    except NasLoraError as error:
        say(f"upstream not taken over: {' '.join(str(error).split())}")
        return False
    say(f"commit {revision[:7]} taken over from upstream, with its data and models")
    return True


def _take_over(root: Path, revision: str) -> None:
    inputs, mark = _inputs(root, revision), root / _UNFINISHED
    again = mark.is_file()
    if not _has(root, revision, "HEAD"):
        raise PipelineError("this branch has commits that upstream lacks; unite them: git pull && dvc pull")
    if not again:
        _require_recorded(root, revision)
    named = {domain: pointer for domain, pointer in inputs.models.items() if pointer}
    try:
        fetch_of(root, revision, [*inputs.files, *named.values()])
    except PipelineError as error:
        if _differs(root, revision, ".dvc/config"):
            raise PipelineError(f"{error}; upstream has another .dvc/config, too: git pull && dvc pull") from error
        raise
    mark.touch()
    try:
        git(root, "merge", "--quiet", "--ff-only", revision)
    except PipelineError:
        if not again:
            mark.unlink()
        raise
    dvc.call(root, "checkout", "--quiet", *inputs.files)
    pull(root, sorted(named), None, False, lambda done, total, what: None)
    for domain in inputs.models:
        restore(root, domain)
    mark.unlink()


def _inputs(root: Path, revision: str) -> _Inputs:
    """Read from a commit, which need not be checked out, what a run of it begins with."""
    try:
        settings = YAML(typ="safe").load(_show(root, revision, "params.yaml"))
        records = {domain: _show(root, revision, f"registry/{domain}.json") for domain in settings["domains"]}
        serving = {domain: json.loads(record)["serving"] for domain, record in records.items() if record}
        files = (_DATA, f"{settings['model']['checkpoint']}.dvc")
    except (YAMLError, ValueError, LookupError, TypeError) as error:
        raise PipelineError(f"params.yaml or registry/ of commit {revision[:7]} cannot be read: {error}") from error
    models = {domain: f"registry/{domain}/{number}.dvc" if number else "" for domain, number in serving.items()}
    # A model without a pointer lies in one checkout only; a run names it, and what to do there.
    return _Inputs(
        tuple(file for file in files if _show(root, revision, file)),
        {domain: pointer for domain, pointer in models.items() if not pointer or _show(root, revision, pointer)},
    )


def _require_recorded(root: Path, revision: str) -> None:
    """Raise PipelineError if files in data/ would be replaced that no data.dvc names yet."""
    if _differs(root, revision, _DATA) and states(root, [_DATA])[_DATA] == "modified":
        raise PipelineError(
            "data/ has changes that data.dvc does not know; take them up with naslora run and commit, or drop them: "
            f"dvc checkout --force {_DATA}"
        )


def _show(root: Path, revision: str, path: str) -> str:
    """Return a file of a commit, "" if it has none of this name."""
    done = run_git(root, "show", f"{revision}:./{path}")
    return done.stdout if done.returncode == 0 else ""


def _differs(root: Path, revision: str, path: str) -> bool:
    return run_git(root, "diff", "--quiet", "HEAD", revision, "--", path).returncode != 0


def _has(root: Path, branch: str, revision: str) -> bool:
    return run_git(root, "merge-base", "--is-ancestor", revision, branch).returncode == 0


def _require_upstream(root: Path) -> None:
    require_repository(root, "data of others comes with the commits of the upstream branch")
    if run_git(root, "symbolic-ref", "--quiet", "HEAD").returncode != 0:
        raise PipelineError("no branch is checked out, as in a submodule; check one out with: git switch <branch>")
    if run_git(root, "rev-parse", "--verify", "--quiet", "@{upstream}").returncode != 0:
        branch = git(root, "rev-parse", "--abbrev-ref", "HEAD")
        raise PipelineError(
            f"branch {branch} follows no other; name one with: git branch --set-upstream-to=origin/{branch}"
        )
