"""A clone of the project for one job, which fetches data from and pushes results to DVC remotes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from naslora_core.errors import PipelineError
from naslora_core.files import atomic_file
from pipelines.dvc import command as dvc
from pipelines.dvc.git import git


@dataclass(frozen=True)
class CloneSource:
    """The repository to clone and the DVC remotes for data and results; the same for all workers.

    Args:
        repository: what git clones: an address, or the folder of a project on a shared disk.
        revision: the commit that is checked out.
        remote: address of the DVC remote that shares results: a folder, s3://…, gs://…, ssh://….
        inputs: what a job needs of the project's default remote, as "data.dvc".
    """

    repository: str
    revision: str
    remote: str
    inputs: tuple[str, ...]


def source_of(root: Path, remote: str) -> CloneSource:
    """Return the source for jobs on the committed state of a project.

    Raises:
        PipelineError: if the project is not in git, or what jobs would lack is not committed.
    """
    revision = git(root, "rev-parse", "HEAD")
    if changed := git(root, "status", "--porcelain", "--untracked-files=no"):
        files = ", ".join(line[2:].strip() for line in changed.splitlines())
        raise PipelineError(f"{files} changed since the last commit, and clones hold what is committed; commit first")
    tracked = sorted([*root.glob("*.dvc"), *root.glob("models/*.dvc")])
    inputs = tuple(str(path.relative_to(root)) for path in tracked if path.is_file())
    return CloneSource(str(root), revision, remote, inputs)


def make_clone(source: CloneSource, folder: Path, settings: Mapping[str, Any]) -> None:
    """Clone the project, fetch its data and change settings.

    Args:
        source: where from.
        folder: a new or empty folder.
        settings: values by their path in params.yaml, as {"adapter.method": "lora"}.
    """
    git(folder.parent, "clone", "--quiet", "--no-checkout", source.repository, str(folder))
    git(folder, "checkout", "--quiet", "--detach", source.revision)
    if source.inputs:
        dvc.call(folder, "pull", "--quiet", *source.inputs)
    # The remote of results takes the default's place once the inputs are here: dvc looks for results there only.
    dvc.call(folder, "remote", "add", "--local", "--quiet", "--default", "results", source.remote)
    _change(folder / "params.yaml", settings)


def compute(folder: Path, domain: str, say: Callable[[str], None]) -> None:
    """Run the stages of a domain in a clone; results that any worker has computed before are fetched instead.

    The results go to the remote, with what they were made from, for all who use it.
    """
    target = f"evaluate@{domain}"
    dvc.repro(folder, [target], say, pull=True)
    dvc.call(folder, "push", "--quiet", "--run-cache", "--remote", "results", "--with-deps", target)


def _change(path: Path, settings: Mapping[str, Any]) -> None:
    editor = YAML()
    content = editor.load(path.read_text(encoding="utf-8"))
    for key, value in settings.items():
        *sections, leaf = key.split(".")
        section = content
        for name in sections:
            section = section[name]
        section[leaf] = value
    with atomic_file(path) as temporary:
        editor.dump(content, temporary)
