"""A clone of the project for one job, which shares DVC's cache, or a remote, with all other jobs."""

import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from naslora_core.config import load_params
from naslora_core.errors import PipelineError
from naslora_core.files import atomic_file
from pipelines.dvc import command as dvc
from pipelines.dvc.clones import Place, Remote, clone, configure, find_remote, is_in_repository, place_of
from pipelines.dvc.pointers import ask, not_on_remote
from pipelines.flow.clone_inputs import pointers_for_jobs, stages_shared_by_jobs

_LOGS = Path(".naslora", "logs")


@dataclass(frozen=True)
class CloneSource:
    """What jobs clone, and where they find their inputs and leave their results; the same for all workers.

    Args:
        place: the project in git.
        pointers: what a job needs of DVC, as "data.dvc".
        cache: the project's own DVC cache, for jobs on this machine; inputs are there, and results go there.
        remote: for jobs on other machines, where they fetch inputs from and push results to.
        shared: the stages that jobs on one domain have in common.
        logs: a folder for the whole output of jobs that failed; None leaves it on the worker, which deletes it.
    """

    place: Place
    pointers: tuple[str, ...]
    cache: str | None
    remote: Remote | None
    shared: tuple[str, ...]
    logs: str | None


def source_of(root: Path, domains: Sequence[str], remote: str | None = None, *, far: bool = False) -> CloneSource:
    """Return the source for jobs on the committed state of a project.

    Args:
        root: the project's folder.
        domains: what the jobs are about.
        remote: name or address of the remote through which jobs on other machines share inputs and results; None is
            the default one.
        far: whether jobs run on other machines, which do not see the project's cache.

    Raises:
        PipelineError: if clones would lack something; names all of it, with a command for each.
    """
    place = place_of(root)
    pointers = pointers_for_jobs(root, load_params(root / "params.yaml"), domains)
    cache, shared = str(dvc.cache_folder(root)), stages_shared_by_jobs(root)
    near = CloneSource(place, pointers, cache, None, shared, str(root / _LOGS))
    if not far:
        return near
    store = find_remote(root, remote)
    if store is None or is_in_repository(root, store):
        lies = f"'{store.name}', which is a folder in the repository ({store.address})" if store else "none"
        raise PipelineError(
            "the jobs of a cluster share inputs and results through one remote that all of them reach, and the remote "
            f"is {lies}. Make one, with an address like s3://bucket/results or /share/results:\n"
            f"dvc remote add results ADDRESS && dvc push --remote results {' '.join(pointers)} && "
            "git commit -m 'a remote for results' -- .dvc/config\nThen sweep with --remote results"
        )
    with fresh_clone(replace(near, remote=store), {}, with_inputs=False) as project:
        lacking = not_on_remote(project, store.name, pointers)
    if lacking:
        is_new = remote not in (None, store.name)
        add = f"dvc remote add {store.name} {shlex.quote(store.address)} && " if is_new else ""
        raise PipelineError(
            f"{lacking} files that jobs need are not on the remote {store.address}: "
            f"{add}dvc push --remote {store.name} {' '.join(pointers)}"
        )
    return replace(near, cache=None, remote=store, logs=None)


@contextmanager
def fresh_clone(source: CloneSource, settings: Mapping[str, Any], *, with_inputs: bool = True) -> Iterator[Path]:
    """Yield the project in a temporary clone, with its inputs and with changed settings.

    Args:
        source: where from.
        settings: values by their path in params.yaml, as {"adapter.method": "lora"}.
        with_inputs: whether data and base model are brought in.

    Raises:
        PipelineError: if git or DVC cannot, with their words.
    """
    # Deleted by all means: a worker that was interrupted may still be writing in it.
    with tempfile.TemporaryDirectory(prefix="naslora-", ignore_cleanup_errors=True) as scratch:
        project = clone(source.place, Path(scratch) / "project")
        configure(project, Path(scratch) / "dvc", source.cache, source.remote)
        if with_inputs and source.pointers:
            ask(project, "checkout" if source.cache is not None else "pull", *source.pointers)
        _change(project / "params.yaml", settings)
        yield project


def compute(source: CloneSource, project: Path, targets: Sequence[str], name: str, say: Callable[[str], None]) -> None:
    """Run stages in a clone; results that any job has computed before are taken over instead.

    Args:
        source: what the clone was made from.
        project: the project in the clone.
        targets: the stages, with all they depend on.
        name: names the file with the whole output if it fails.
        say: gets a line whenever a stage starts or has come further.

    Raises:
        PipelineError: if a stage fails; carries the stage's own message.
    """
    if source.remote is not None:
        for target in targets:
            _find_results(source, source.remote.name, project, target, say)
    try:
        dvc.repro(project, targets, say)
    except PipelineError as error:
        raise PipelineError(_with_log(error, source, project, name)) from error
    if source.remote is not None:
        from pipelines.dvc.results import push_results

        push_results(project, source.remote.name)


def _find_results(source: CloneSource, remote: str, project: Path, target: str, say: Callable[[str], None]) -> None:
    """Fetch what was computed before; what comes before training is run where its outcome decides what that is."""
    from pipelines.dvc.results import find_results

    for _ in range(len(source.shared) + 1):
        runs = find_results(project, target, say, remote)
        if runs == target or runs.partition("@")[0] not in source.shared:
            return
        dvc.repro(project, [runs], say)


def _with_log(error: PipelineError, source: CloneSource, project: Path, name: str) -> str:
    """Return the message of a failed `dvc repro`, with the log it names kept where the clone's end does not reach."""
    message = str(error).partition("\nThe whole output is in ")[0]
    logs = sorted((project / _LOGS).glob("*.log"), key=lambda path: path.stat().st_mtime)
    if source.logs is None or not logs:
        return message
    kept = Path(source.logs) / f"sweep-{name}.log"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(logs[-1], kept)
    return f"{message}\nThe whole output is in {kept}"


def _change(path: Path, settings: Mapping[str, Any]) -> None:
    if not settings:
        return
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
