"""Remove what the pipeline made of domains that were taken out of params.yaml.

The report depends on the folders that hold every domain's results. With leftovers in them, its inputs here would
differ from those in a clone, which never had that domain.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from stages.paths import StagePaths


def remove_leftovers(root: Path, domains: Sequence[str], say: Callable[[str], None]) -> tuple[str, ...]:
    """Remove artifacts/<stage>/<domain> of every domain that is no longer in params.yaml.

    Their results stay in DVC's cache, from where a run takes them if the domain comes back. Folders of which neither
    dvc.lock nor data/ knows a domain are not touched.

    Args:
        root: the project's folder.
        domains: those of params.yaml.
        say: gets a line with the domains that something was removed of.

    Returns:
        These domains, sorted.
    """
    found = [folder for folder in (root / "artifacts").glob("*/*") if folder.name not in domains and folder.is_dir()]
    if not found:
        return ()
    left = [folder for folder in found if folder.name in _known_domains(root)]
    for folder in left:
        shutil.rmtree(folder)
    gone = tuple(sorted({folder.name for folder in left}))
    if gone:
        say(f"removed from artifacts/, as params.yaml no longer lists them: {', '.join(gone)}")
    return gone


def _known_domains(root: Path) -> set[str]:
    # Only asked where there is something left: reading dvc.lock takes time.
    from pipelines.dvc.lock_file import DvcLock

    locked = {address.partition("@")[2] for address in DvcLock(root).addresses} - {""}
    return locked | set(StagePaths(root).domains())
