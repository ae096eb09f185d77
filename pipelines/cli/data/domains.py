"""Shared by the data commands: the folders of domains, and a domain's counts."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from naslora_core.data.dataset.dataset import Dataset


def data_folder() -> Path:
    """Return the folder of all domains in the project that holds the working folder.

    Raises:
        ConfigError: outside of a project.
    """
    from pipelines.run.inputs import project_root

    return project_root() / "data"


def find_domain(name: str) -> Path:
    """Return the folder of a domain.

    Raises:
        ConfigError: if there is no data of that name; the message lists the domains there are.
    """
    from pipelines.run.inputs import project_root
    from stages.paths import StagePaths
    from stages.runner import require_domain

    paths = StagePaths(project_root())
    require_domain(paths, name)
    return paths.data(name)


def counts(dataset: "Dataset") -> str:
    """Return how many pairs there are, and how many of each split."""
    from naslora_core.data.dataset.splits import SPLITS

    parts = ", ".join(f"{len(dataset.of_split(split))} {split}" for split in SPLITS)
    return f"{len(dataset.pairs)} pairs ({parts})"
