"""Find the project and the domains of a command, and check that a run's inputs are there."""

from collections.abc import Sequence
from pathlib import Path

from naslora_core.config import Params
from naslora_core.errors import ConfigError, DataError, PipelineError
from stages.paths import StagePaths


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


def choose_domains(params: Params, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return `wanted`, or all domains of params.yaml if none is named.

    Raises:
        ConfigError: if one is not in params.yaml; the message lists those that are.
    """
    unknown = [domain for domain in wanted if domain not in params.domains]
    if unknown:
        raise ConfigError(
            f"unknown domain '{unknown[0]}'; params.yaml lists {', '.join(params.domains)}. "
            "Correct the name, or add it to 'domains' in params.yaml"
        )
    return tuple(dict.fromkeys(wanted)) or params.domains


def require_inputs(root: Path, params: Params, domains: Sequence[str]) -> None:
    """Check that the data of `domains` and the base model are there.

    Raises:
        DataError: if data is missing.
        PipelineError: if the base model is missing.
    """
    paths = StagePaths(root)
    if not paths.data("").is_dir() and (root / "data.dvc").is_file():
        raise DataError("data/ is not here yet; fetch it with: dvc pull data.dvc")
    for domain in domains:
        if domain not in (known := paths.domains()):
            raise DataError(
                f"params.yaml lists domain '{domain}', but data/{domain}/dataset.yaml is not there; there is "
                f"data for {', '.join(known) or 'no domain'}. Bring images in with naslora data import, or "
                f"take '{domain}' out of 'domains' in params.yaml"
            )
    checkpoint = root / params.model.checkpoint
    if not checkpoint.is_file():
        tracked = checkpoint.with_name(checkpoint.name + ".dvc").is_file()
        pull = f"fetch it with: dvc pull {params.model.checkpoint}.dvc"
        advice = pull if tracked else "correct model.checkpoint in params.yaml"
        raise PipelineError(f"the base model {params.model.checkpoint} is not there; {advice}")
