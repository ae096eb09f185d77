"""Bring back outputs that this checkout lacks although nothing has changed; nothing is computed for that."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pipelines.dvc import command as dvc
from pipelines.dvc.changes import ChangedStages
from pipelines.dvc.kept import LocalCache
from pipelines.dvc.lock_file import DvcLock

# The stage that has all others of a domain before it.
_LAST = "evaluate"
_OF_ALL = "report"


def bring_back(root: Path, changes: ChangedStages, wait_s: float, say: Callable[[str], None]) -> ChangedStages:
    """Take missing outputs from DVC's cache on this machine, as far as it has them.

    What belongs to another commit and cannot be replaced is removed: mixed with the rest, it would be wrong.

    Args:
        root: the project's folder.
        changes: what has changed, and what is missing.
        wait_s: longest wait, in seconds, for a dvc command that somebody else has typed.
        say: gets a line for everything that comes back or is removed.

    Returns:
        What has changed and what is missing now.

    Raises:
        PipelineError: if dvc fails.
    """
    lock, cache = DvcLock(root), LocalCache(root)
    here = {address for address in changes.missing if _is_kept(lock, address, cache)}
    lost = set(changes.missing) - here
    targets = []
    for domain in sorted({address.partition("@")[2] for address in here} - {""}):
        of_domain = {address for address in (*changes.stages, *lost) if address.endswith(f"@{domain}")}
        if not of_domain:
            targets.append(f"{_LAST}@{domain}")
    for target in targets:
        dvc.repro(root, [target], say, wait_s=wait_s)
    if _OF_ALL in here and not changes.stages and not any("@" in address for address in lost):
        targets.append(_OF_ALL)
        dvc.repro(root, [_OF_ALL], say, wait_s=wait_s, alone=True)
    removed = [path for path in changes.stale if _makers(lock, path) & lost]
    for path in removed:
        _remove(root / path)
    if removed:
        # One of hundreds of files is of no interest; artifacts/<stage>/<domain> is.
        folders = sorted({"/".join(path.split("/")[:3]) for path in removed})
        say(f"removed what was of another commit in {', '.join(folders)}")
    return dvc.status(root, wait_s, say) if targets or removed else changes


def missing_for_report(root: Path, domains: tuple[str, ...]) -> tuple[str, ...]:
    """Return the domains with outputs that the report is made from and this checkout lacks.

    Args:
        root: the project's folder.
        domains: those the report covers.
    """
    lock = DvcLock(root)
    report = lock.at(_OF_ALL)
    folders = tuple(f"{path}/" for path in report.deps) if report else ("artifacts/",)
    return tuple(
        domain
        for domain in domains
        if any(
            path.startswith(folders) and not (root / path).exists()
            for address in lock.addresses
            if address.endswith(f"@{domain}") and (stage := lock.at(address))
            for path in stage.outs
        )
    )


def _is_kept(lock: DvcLock, address: str, cache: LocalCache) -> bool:
    stage = lock.at(address)
    return stage is not None and all(cache.has(md5) for md5 in stage.outs.values())


def _makers(lock: DvcLock, path: str) -> set[str]:
    return {address for address in lock.addresses if (stage := lock.at(address)) and path in stage.outs}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
