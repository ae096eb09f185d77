"""Find the project and the domains of a command, and check that a run's inputs are there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from naslora_core.config import NOTHING_GIVEN, Params
from naslora_core.errors import ConfigError, DataError, PipelineError
from naslora_core.files import write_json
from pipelines.dvc.place import settle
from pipelines.models.conflicts import require_no_conflict
from pipelines.models.registry import ModelRegistry, ModelVersion
from pipelines.models.transfer import lists, pointer
from pipelines.models.version_files import Place, place, remedy
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


def shared_project(say: Callable[[str], None]) -> Path:
    """Return the project of the working folder, for commands that send or fetch what git has pointers of.

    Args:
        say: gets a line with what will not work for want of git.

    Raises:
        ConfigError: if the working folder is in no project.
        PipelineError: if a merge has left a conflict in what says what was trained and what serves, or DVC's settings
            cannot be written.
    """
    root = project_root()
    require_no_conflict(root)
    settle(root, say)
    return root


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
    """Check that what a run begins with is here: settings, data, base model and models in service.

    Raises:
        ConfigError: if params.yaml does not have a setting that dvc.yaml names.
        DataError: if data is missing, or lies behind a link that DVC does not follow.
        PipelineError: if the base model or a model in service is missing.
    """
    _require_named_settings(root, params)
    _refuse_links(root)
    absent = [Path("data")] if _is_absent(root, Path("data")) else []
    absent += [path for path in [Path(params.model.checkpoint)] if _is_absent(root, path)]
    registry = ModelRegistry(root)
    serving = {domain: registry.read(domain).in_service for domain in domains}
    lacking = {
        domain: version
        for domain, version in serving.items()
        if version is not None and place(registry, domain, version) is not Place.HERE
    }
    if absent:
        models = " && naslora models pull" if lacking else ""
        named = [*(f"{path.as_posix()}" for path in absent), *(f"the model of {domain}" for domain in lacking)]
        pointers = " ".join(f"{path.as_posix()}.dvc" for path in absent)
        raise DataError(f"not here yet: {', '.join(named)}; fetch with: dvc pull {pointers}{models}")
    for domain in domains:
        require_data(root, domain)
    if not (root / params.model.checkpoint).exists():
        raise PipelineError(
            f"the base model {params.model.checkpoint} is not there; correct model.checkpoint in params.yaml"
        )
    if lacking:
        raise PipelineError("\n".join(_lack(registry, domain, version) for domain, version in lacking.items()))


def require_current_data(root: Path) -> None:
    """Check that data/ is not what an earlier commit named, beside a data.dvc that names something else.

    Such data would be taken for a change, and would replace what others have added.

    Raises:
        DataError: if it is; says how to go on with either.
    """
    # Not at the top: a run with nothing to do does not ask.
    from pipelines.dvc.pointers import earlier_commit

    if commit := earlier_commit(root, "data.dvc"):
        raise DataError(
            f"data/ is still that of commit {commit}, and data.dvc names other data by now, as after git pull without "
            "dvc pull. Fetch it with: dvc pull data.dvc. If you have gone back to the earlier data on purpose: "
            "dvc commit --force data.dvc, then naslora run"
        )


def _require_named_settings(root: Path, params: Params) -> None:
    # Of the settings with a default, dvc.yaml names these by themselves, and DVC knows no defaults.
    if "view" not in params.train.model_fields_set:
        raise ConfigError(
            f"{root / 'params.yaml'} has no train.view, by which DVC sees whether arrays have to be made anew; add "
            "below 'train:' either 'view: whole', to train as before there was a choice, or 'view: auto', which does "
            "as the gate suggests"
        )
    if "from_" not in params.search.model_fields_set:
        raise ConfigError(
            f"{root / 'params.yaml'} has no search.from, the file of an architecture that DVC watches; add below "
            f"'search:' the line 'from: {NOTHING_GIVEN}', which stands for none; then everything is searched, as before"
        )
    if (root / params.search.from_).is_file():
        return
    if params.search.from_ != NOTHING_GIVEN:
        raise ConfigError(
            f"search.from is {params.search.from_}, and there is no such file in {root}; name the genotype.json of a "
            f"search under a budget, or {NOTHING_GIVEN}, which stands for none"
        )
    # DVC asks for it, and a project of an earlier version has none.
    (root / NOTHING_GIVEN).parent.mkdir(exist_ok=True)
    write_json(root / NOTHING_GIVEN, {"format": 1, "layers": []})


def _is_absent(root: Path, path: Path) -> bool:
    """Return whether a file or folder is missing that DVC can fetch."""
    return not (root / path).exists() and pointer(root / path).is_file()


def require_data(root: Path, domain: str) -> None:
    """Check that there is data for a domain.

    Raises:
        DataError: if not; says how to fetch it, or to bring it in.
    """
    known, card = StagePaths(root).domains(), f"data/{domain}/dataset.yaml"
    if domain in known:
        return
    if pointer(root / "data").is_file() and (not known or lists(root, root / "data", f"{domain}/dataset.yaml")):
        raise DataError(f"{card} is not here, though data.dvc names it; fetch it with: dvc pull data.dvc")
    raise DataError(
        f"params.yaml lists domain '{domain}', but {card} is not there; there is data for "
        f"{', '.join(known) or 'no domain'}. Bring images in with naslora data import, or take '{domain}' out of "
        "'domains' in params.yaml"
    )


def _lack(registry: ModelRegistry, domain: str, version: ModelVersion) -> str:
    named = f"version {version.number} of '{domain}', which is in service, is not here"
    return f"{named}; {remedy(registry, domain, version.number)}"


def _refuse_links(root: Path) -> None:
    """Raise DataError where a folder in data/ is a link, which DVC passes over: its version would lack the files."""
    data = StagePaths(root).data("")
    for folder in sorted([*data.glob("*"), *data.glob("*/*")]):
        if folder.is_symlink() and folder.is_dir():
            linked, there = folder.relative_to(root).as_posix(), folder.resolve()
            raise DataError(
                f"{linked} is a link to {there}, and DVC does not follow links inside data/: the version that it "
                f"stores would lack these files. Copy them here (rm {linked} && cp -rL {there} {linked}), or keep all "
                "of data/ elsewhere and make data itself the link, which works"
            )
