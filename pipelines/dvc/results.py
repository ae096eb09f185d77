"""Results that were computed before, here or in another checkout: send them to a DVC remote, and take them from there.

DVC keeps in its run cache what every stage has made of which inputs. `dvc push --run-cache` sends these entries, but
only the files that the present dvc.lock names, and none of outputs with `cache: false`. Here files and entries travel
together, files first, so that an entry on a remote never names a file that is missing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naslora_core.errors import PipelineError
from pipelines.dvc.foresight import foresee
from pipelines.dvc.repository import is_cached, made_by, opened, pipeline_stages, recorded_entry
from pipelines.dvc.result_store import ResultStore, UnreachableError, local_entries, read_entry


@dataclass(frozen=True)
class Pushed:
    """What was sent.

    Args:
        remote: its name.
        results: how many results of stages the remote did not have.
        files: how many files of theirs it did not have.
        there: how many results were on the remote before.
        incomplete: how many results could not be sent, because their files have left this machine's cache.
        unkept: addresses of stages whose last run, as dvc.lock records it, is neither in the cache here nor sent.
    """

    remote: str
    results: int
    files: int
    there: int
    incomplete: int
    unkept: tuple[str, ...]


@dataclass(frozen=True)
class Pulled:
    """What was fetched.

    Args:
        remote: its name.
        results: how many results of stages were not known here.
        files: how many files came.
        restored: addresses of stages whose outputs are now in place, as dvc.lock records them.
        lost: addresses of stages whose outputs are not here, not in the cache and not on the remote.
        differing: addresses of stages that were left alone, because some of their outputs are others than dvc.lock
            records.
    """

    remote: str
    results: int
    files: int
    restored: tuple[str, ...]
    lost: tuple[str, ...]
    differing: tuple[str, ...]


def push_results(root: Path, remote: str | None = None, check_all: bool = False) -> Pushed:
    """Send every result in this machine's run cache that a remote lacks, with its files.

    Args:
        root: the project's folder.
        remote: its name; None is the default remote.
        check_all: look for the files of results, too, that the remote has the entry of.

    Raises:
        PipelineError: if the remote cannot be used, or files did not arrive.
    """
    with opened(root, "pushing results") as repo:
        store = ResultStore(repo, remote, insist=True)
        objects: set[Any] = set()
        here, sent, incomplete = local_entries(repo), [], 0
        for entry in sorted(here if check_all else here - store.entries):
            content = read_entry(repo, entry)
            if content is None or not _collect(made_by(repo, root, content), objects):
                incomplete += 1
            elif entry not in store.entries:
                sent.append(entry)
        recorded = _recorded(repo, root)
        unkept = [address for address, stage in recorded if not _collect(stage, objects)]
        files = store.send_objects(objects)
        store.send_entries(sent)
        return Pushed(store.name, len(sent), files, len(store.entries), incomplete, tuple(unkept))


def pull_results(root: Path, remote: str | None = None, domain: str | None = None, everything: bool = False) -> Pulled:
    """Fetch what is known about results, and put outputs into place that dvc.lock records and the checkout lacks.

    No stage is run, and nothing that is there is changed.

    Args:
        root: the project's folder.
        remote: its name; None is the default remote.
        domain: only this domain's outputs, and the report; None is all of them.
        everything: fetch the files of all other results, too, so that a later run needs no remote.

    Raises:
        PipelineError: if the remote cannot be used.
    """
    from dvc.repo import lock_repo

    with opened(root, "pulling results") as repo:
        store = ResultStore(repo, remote, insist=True)
        results, files = store.fetch_entries(), 0
        restored: list[str] = []
        lost: list[str] = []
        differing: list[str] = []
        with lock_repo(repo):
            for address, stage in _recorded(repo, root):
                if domain is not None and address.partition("@")[2] not in ("", domain):
                    continue
                absent = [out for out in stage.outs if not out.exists]
                if not absent:
                    continue
                if any(out.changed_checksum() for out in stage.outs if out.exists):
                    differing.append(address)
                    continue
                files += 0 if is_cached(stage) else store.fetch_objects(stage)
                if is_cached(stage):
                    stage.checkout()
                    restored.append(address)
                else:
                    lost.append(address)
        if everything:
            contents = (read_entry(repo, entry) for entry in sorted(store.entries))
            files += sum(store.fetch_objects(made_by(repo, root, content)) for content in contents if content)
        return Pulled(store.name, results, files, tuple(restored), tuple(lost), tuple(differing))


def find_results(root: Path, target: str, say: Callable[[str], None], remote: str | None = None) -> str:
    """Fetch from a remote what `dvc repro TARGET` would compute and another checkout has computed before.

    A remote that does not answer is reported, and is no error.

    Args:
        root: the project's folder.
        target: address of a stage, as "evaluate@leaf_lesions".
        say: gets a line with what was fetched, and one with what cannot be had any more and is computed again.
        remote: its name; None is the default remote.

    Returns:
        Address of the first stage that nobody has computed before, if the remote may have what follows it; else "".
    """
    try:
        with opened(root, "looking for results") as repo:
            return _find(repo, root, target, say, remote)
    except PipelineError as error:
        # What it costs is that something is computed again; dvc itself says what is wrong with the project.
        say(str(error))
        return ""


def _find(repo: Any, root: Path, target: str, say: Callable[[str], None], remote: str | None) -> str:
    store = None
    try:
        store = ResultStore(repo, remote)
        store.fetch_entries()
    except UnreachableError as error:
        if error.is_new:
            say(f"results of other checkouts are not looked for: {error}")
    fetched: list[str] = []
    lost: list[str] = []
    runs = ""
    for step in foresee(repo, root, target):
        if step.result is None:
            runs = step.address if store and store.entries else ""
        elif not step.is_in_place and not is_cached(step.result):
            if store:
                store.fetch_objects(step.result)
            (fetched if is_cached(step.result) else lost).append(step.address)
    if fetched and store:
        say(f"computed before, fetched from remote '{store.name}': {', '.join(fetched)}")
    if lost:
        where = f"nor on remote '{store.name}'" if store else "and no remote was asked"
        say(
            f"computed before, but the files are neither in the cache here {where}, so they are computed again: "
            f"{', '.join(lost)}. Where they were computed, naslora results push sends them"
        )
    return runs


def _recorded(repo: Any, root: Path) -> list[tuple[str, Any]]:
    """Return address and result of every stage whose outputs dvc.lock records."""
    entries = ((stage.name, recorded_entry(stage)) for stage in pipeline_stages(repo, root))
    return [(address, made_by(repo, root, entry)) for address, entry in entries if entry]


def _collect(stage: Any, objects: set[Any]) -> bool:
    """Add the files of a result to `objects` if all of them are in the cache here; returns whether they are."""
    if not is_cached(stage):
        return False
    used: Iterable[set[Any]] = stage.get_used_objs().values()
    for hashes in used:
        objects |= hashes
    return True
