"""Find the project a command is meant for."""

from pathlib import Path

from naslora_core.errors import ConfigError


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder, from `start` upwards, that holds dvc.yaml and params.yaml.

    Args:
        start: where to begin; None is the working folder.

    Raises:
        ConfigError: if no folder up to the top of the file system is a project.
    """
    origin = (start or Path.cwd()).resolve()
    for folder in (origin, *origin.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    raise ConfigError(
        f"{origin} is not in a naslora project: no dvc.yaml beside a params.yaml from here upwards; "
        "change to the folder you cloned"
    )
