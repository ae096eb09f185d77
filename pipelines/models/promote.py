"""Promote model versions into service: a copy in serving/<domain>, which no running stage deletes."""

import filecmp
import shutil
from pathlib import Path
from typing import Literal

from naslora_core.config import Params
from naslora_core.errors import ConfigError
from naslora_core.files import atomic_directory, write_json
from pipelines.dvc.lock_file import DvcLock
from pipelines.models.candidate import MODEL, PAIRS_FILE, Candidate, describe, finished_identity, pair_hashes
from pipelines.models.registry import ModelRegistry, ModelVersion, next_number
from pipelines.models.transfer import pointer, track
from pipelines.models.version_files import Place, place, require_intact


def find_registered(root: Path, lock: DvcLock, domain: str) -> ModelVersion | None:
    """Return the domain's last finished model as it stands in the registry; None if it is new.

    One that was withdrawn because its files are nowhere counts as new: it may be made and registered again.
    """
    identity, registry = finished_identity(lock, domain), ModelRegistry(root)
    record = registry.read(domain)
    version = record.find(identity) if identity else None
    event = record.decision_on(version.number) if version else None
    withdrawn = event is not None and event.action == "withdrawn"
    return None if version and withdrawn and place(registry, domain, version) is Place.UNKNOWN else version


def register(root: Path, lock: DvcLock, candidate: Candidate, params: Params) -> ModelVersion:
    """Add a candidate to the registry, with its files and provenance, without putting it into service.

    The record goes last: a run that is ended before it registers the model again, under the same number.
    """
    registry = ModelRegistry(root)
    record = registry.read(candidate.domain)
    version = describe(root, lock, candidate, params, next_number(record))
    with atomic_directory(registry.files(candidate.domain, version.number)) as folder:
        for name, source in candidate.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy2(source, folder / name)
        write_json(folder / PAIRS_FILE, pair_hashes(root, candidate.domain))
    track(root, registry.files(candidate.domain, version.number))
    registry.write(record.with_version(version))
    _drop_pointers_beyond(registry.files(candidate.domain, version.number))
    return version


def put_into_service(
    root: Path, domain: str, number: int, action: Literal["promoted", "rolled back"], reason: str
) -> None:
    """Copy a version to serving/<domain>, and record the reason.

    Raises:
        ConfigError: if there is no such version, or it is in service already.
        PipelineError: if its files are lost or damaged; the model in service stays.
    """
    registry = ModelRegistry(root)
    record = registry.read(domain)
    version = record.version(number)
    if record.serving == number:
        raise ConfigError(f"version {number} of '{domain}' is in service already; nothing to do")
    require_intact(registry, domain, version)
    # The record goes first: if this ends between the two, the next run makes serving/ agree with it.
    registry.write(record.decided(action, number, reason))
    restore(root, domain)


def keep(root: Path, domain: str, number: int, reason: str) -> None:
    """Record that a version was compared and is not put into service."""
    registry = ModelRegistry(root)
    registry.write(registry.read(domain).decided("kept", number, reason))


def withdraw(root: Path, domain: str, reason: str) -> int:
    """Take the model of a domain out of service, so that the next run's model is compared with none.

    A pointer to files that are not here goes too: dvc pull would ask for them again and again. Git's history has it.

    Returns:
        The version that was in service.

    Raises:
        ConfigError: if none is.
    """
    registry = ModelRegistry(root)
    record = registry.read(domain)
    version = record.in_service
    if version is None:
        raise ConfigError(f"'{domain}' has no model in service; nothing to do")
    registry.write(record.decided("withdrawn", version.number, reason))
    if place(registry, domain, version) is Place.POINTER:
        pointer(registry.files(domain, version.number)).unlink()
    restore(root, domain)
    return version.number


def restore(root: Path, domain: str) -> bool:
    """Make serving/<domain> match the registry; return whether files had to be copied."""
    registry = ModelRegistry(root)
    record = registry.read(domain)
    version, target = record.in_service, root / "serving" / domain
    if version is None:
        if record.events and target.is_dir():
            _remove(target)
        return False
    source = registry.files(domain, version.number)
    files = [source / name for name in version.files if name.startswith(f"{MODEL}/")]
    if _is_current(files, target):
        return False
    require_intact(registry, domain, version)
    with atomic_directory(target) as folder:
        for file in files:
            # copy2 keeps the time stamp: the next run sees without reading that nothing changed.
            shutil.copy2(file, folder / file.name)
    return True


def _drop_pointers_beyond(newest: Path) -> None:
    """Remove pointers of later numbers: models that lost against another checkout's, which the record does not know."""
    for path in newest.parent.glob("*.dvc"):
        if path.stem.isdecimal() and int(path.stem) > int(newest.name):
            path.unlink()


def _remove(folder: Path) -> None:
    """Remove a folder under another name, so that nobody reads half of it."""
    with atomic_directory(folder, durable=False) as empty:
        empty.chmod(0o755)
    folder.rmdir()


def _is_current(files: list[Path], target: Path) -> bool:
    if not target.is_dir() or {path.name for path in target.iterdir()} != {file.name for file in files}:
        return False
    return all(file.is_file() and filecmp.cmp(file, target / file.name) for file in files)
