"""Examine an installation: what is there, what is missing, what to do about it."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from naslora_core.config import Params, load_params
from naslora_core.errors import NasLoraError, PipelineError
from pipelines.dvc import command as dvc
from pipelines.dvc.git import repository_state
from pipelines.dvc.place import settle
from pipelines.models.conflicts import require_no_conflict
from pipelines.models.registry import ModelRegistry
from pipelines.models.transfer import pointer
from pipelines.models.version_files import Place, place, remedy
from pipelines.run.inputs import project_root, require_data
from pipelines.run.to_commit import stored_in_repository
from stages.paths import StagePaths

_SHOWN = (
    "torch",
    "torchvision",
    "segment-anything",
    "dvc",
    "prefect",
    "great-expectations",
    "fastapi",
    "sqlalchemy",
)


@dataclass(frozen=True)
class Finding:
    """The result of one check of the installation.

    Args:
        level: "missing" means that nothing works without it, "note" that something optional is not there yet.
        subject: what was looked at.
        detail: what was found.
        advice: what to do; empty if all is well.
    """

    level: Literal["ok", "note", "missing"]
    subject: str
    detail: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Yield all findings, the cheap ones first."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    yield _device()
    try:
        root = project_root()
    except NasLoraError as error:
        yield Finding("missing", "project", str(error), "change to the folder you cloned")
        return
    yield _git(root)
    try:
        require_no_conflict(root)
        params = load_params(root / "params.yaml")
    except PipelineError as error:
        yield Finding("missing", "conflict", str(error), "the commands above, in their order")
        return
    except NasLoraError as error:
        yield Finding("missing", "project", str(error), "correct params.yaml")
        return
    yield Finding("ok", "project", f"{root}, {params.model.name}, adapter {params.adapter.method}")
    yield _base_model(root, params)
    for domain in params.domains:
        yield _data(root, domain)
    yield _remote(root)
    yield from _serving(root, params)


def _packages() -> Iterator[Finding]:
    """Check the version of every requirement of naslora: some install together, yet do not work together."""
    wrong = []
    for line in requires("naslora") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    if wrong:
        advice = "install again: make setup, or pip install -c constraints.txt -e ."
        yield Finding("missing", "packages", "; ".join(wrong), advice)
        return
    yield Finding("ok", "packages", ", ".join(f"{name} {version(name)}" for name in _SHOWN))


def _git(root: Path) -> Finding:
    try:
        # Findings further down advise commands of dvc's, which have to work without a repository, too.
        found = settle(root, lambda line: None)
    except PipelineError:
        # As in a folder that must not be written to: what is there can be examined all the same.
        found = repository_state(root)
    if found.state == "found":
        return Finding("ok", "git", f"the project is at commit {found.reason}")
    # Nothing of a run needs git, but sharing, comparing commits and sweeps do.
    return Finding("note", "git", found.reason, found.remedy)


def _device() -> Finding:
    try:
        import torch
        import torchvision

        from naslora_core.sam.precision import best_device, has_fast_bf16
    except (ImportError, RuntimeError, OSError) as error:
        return Finding("missing", "device", f"torch does not start: {error}", "install again: make setup")
    device = best_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    bf16 = "bf16" if has_fast_bf16(device) else "no fast bf16, computes in fp32"
    return Finding("ok", "device", f"{name}, {bf16}, torchvision {torchvision.__version__} loads")


def _base_model(root: Path, params: Params) -> Finding:
    place = root / params.model.checkpoint
    if place.exists():
        # A file, or a folder as transformers writes one.
        size = sum(file.stat().st_size for file in (place, *place.rglob("*")) if file.is_file())
        return Finding("ok", "base model", f"{params.model.checkpoint}, {size / 1e6:.1f} MB")
    tracked = pointer(place).is_file()
    advice = f"dvc pull {params.model.checkpoint}.dvc" if tracked else "correct model.checkpoint in params.yaml"
    return Finding("missing", "base model", f"{params.model.checkpoint} is not there", advice)


def _data(root: Path, domain: str) -> Finding:
    from naslora_core.data.dataset.dataset import read_dataset

    try:
        require_data(root, domain)
        dataset = read_dataset(StagePaths(root).data(domain))
    except NasLoraError as error:
        pull = "dvc pull data.dvc"
        return Finding("missing", f"data/{domain}", str(error), pull if pull in str(error) else "naslora data --help")
    return Finding("ok", f"data/{domain}", f"{len(dataset.pairs)} pairs")


def _remote(root: Path) -> Finding:
    try:
        remote = dvc.default_remote(root)
    except NasLoraError as error:
        return Finding("note", "dvc remote", str(error), "dvc remote add -d NAME URL, to share data and models")
    if stored_in_repository(root):
        advice = "dvc remote add -d NAME URL, for a storage that all checkouts reach"
        return Finding("note", "dvc remote", f"{remote} lies in the repository: every clone has its own copy", advice)
    return Finding("ok", "dvc remote", remote)


def _serving(root: Path, params: Params) -> Iterator[Finding]:
    """Compare what is in service here with the record of each domain."""
    registry = ModelRegistry(root)
    served = {}
    for domain in params.domains:
        try:
            version = registry.read(domain).in_service
        except NasLoraError as error:
            yield Finding("missing", "registry", str(error), f"git checkout HEAD -- registry/{domain}.json")
            continue
        if version is None:
            continue
        if place(registry, domain, version) is not Place.HERE:
            told = remedy(registry, domain, version.number)
            lack = f"the files of {domain} version {version.number} are not here"
            pull = f"naslora models pull {domain}"
            yield Finding("missing", "in service", lack, pull if pull in told else told)
        elif not (root / "serving" / domain / "model.safetensors").is_file():
            lack = f"{domain} version {version.number} is not in serving/ yet"
            yield Finding("note", "in service", lack, f"naslora models pull {domain}")
        else:
            served[domain] = version.number
    if served:
        yield Finding("ok", "in service", ", ".join(f"{domain} version {number}" for domain, number in served.items()))
    elif not registry.domains():
        yield Finding("note", "in service", "no model yet", "naslora run")
