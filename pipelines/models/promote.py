"""Promote model versions into service: a copy in serving/<domain>, which no running stage deletes."""

import filecmp
import shutil
from pathlib import Path
from typing import Literal

from naslora_core.config import Params
from naslora_core.errors import ConfigError, PipelineError
from naslora_core.files import atomic_directory, file_sha256, write_json
from pipelines.dvc.lock_file import DvcLock
from pipelines.models.candidate import MODEL, PAIRS_FILE, Candidate, describe, pair_hashes
from pipelines.models.registry import ModelRegistry, ModelVersion, Record, next_number


def register(root: Path, lock: DvcLock, candidate: Candidate, params: Params) -> ModelVersion:
    """Add a candidate to the registry, with its files and provenance, without putting it into service.

    Returns:
        Its version; that of an earlier registration if there is one.
    """
    registry = ModelRegistry(root)
    record = registry.read(candidate.domain)
    if known := record.find(candidate.identity):
        return known
    version = describe(root, lock, candidate, params, next_number(record))
    with atomic_directory(registry.files(candidate.domain, version.number)) as folder:
        for name, source in candidate.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy2(source, folder / name)
        write_json(folder / PAIRS_FILE, pair_hashes(root, candidate.domain))
    registry.write(record.with_version(version))
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
    _require_intact(registry.files(domain, number), version)
    # The record goes first: if this ends between the two, the next run makes serving/ agree with it.
    registry.write(record.decided(action, number, reason))
    restore(root, domain)


def keep(root: Path, domain: str, number: int, reason: str) -> None:
    """Record that a version was compared and is not put into service."""
    registry = ModelRegistry(root)
    registry.write(registry.read(domain).decided("kept", number, reason))


def restore(root: Path, domain: str) -> bool:
    """Make serving/<domain> match the registry; return whether files had to be copied."""
    registry = ModelRegistry(root)
    version = registry.read(domain).in_service
    if version is None:
        return False
    source, target = registry.files(domain, version.number), root / "serving" / domain
    files = [source / name for name in version.files if name.startswith(f"{MODEL}/")]
    if _is_current(files, target):
        return False
    _require_intact(source, version)
    with atomic_directory(target) as folder:
        for file in files:
            # copy2 keeps the time stamp: the next run sees without reading that nothing changed.
            shutil.copy2(file, folder / file.name)
    return True


def previous_in_service(record: Record) -> int:
    """Return the version that was in service before the current one; repeated rollbacks go further back.

    Raises:
        ConfigError: if there was none.
    """
    stack: list[int] = []
    for event in record.events:
        if event.action == "promoted":
            stack.append(event.version)
        elif event.action == "rolled back":
            while stack and stack[-1] != event.version:
                stack.pop()
            stack = stack or [event.version]
    if len(stack) < 2:
        raise ConfigError(
            f"'{record.domain}' had no model in service before version {record.serving}; "
            "name one with --to, see naslora models list"
        )
    return stack[-2]


def _require_intact(folder: Path, version: ModelVersion) -> None:
    for name, expected in version.files.items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != expected:
            state = "is damaged" if path.is_file() else "is gone"
            raise PipelineError(
                f"{path} {state}; restore {folder} from a backup, or choose another version from naslora models list"
            )


def _is_current(files: list[Path], target: Path) -> bool:
    if not target.is_dir() or {path.name for path in target.iterdir()} != {file.name for file in files}:
        return False
    return all(file.is_file() and filecmp.cmp(file, target / file.name) for file in files)
