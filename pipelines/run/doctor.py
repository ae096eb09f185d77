"""Examine an installation: what is there, what is missing, what to do about it."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from naslora_core.config import Params, load_params
from naslora_core.errors import NasLoraError
from pipelines.dvc import command as dvc
from pipelines.dvc.git import is_git_installed
from pipelines.run.inputs import project_root
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
    yield _git()
    yield _device()
    try:
        root = project_root()
        params = load_params(root / "params.yaml")
    except NasLoraError as error:
        yield Finding("missing", "project", str(error), "change to the folder you cloned, or correct params.yaml")
        return
    yield Finding("ok", "project", f"{root}, {params.model.name}, adapter {params.adapter.method}")
    yield _base_model(root, params)
    for domain in params.domains:
        yield _data(root, domain)
    yield _remote(root)
    yield _serving(root, params)


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


def _git() -> Finding:
    if is_git_installed():
        return Finding("ok", "git", "found")
    return Finding("note", "git", "not found", "install git to compare runs with dvc metrics diff and dvc exp")


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
    file = root / params.model.checkpoint
    if file.is_file():
        return Finding("ok", "base model", f"{params.model.checkpoint}, {file.stat().st_size / 1e6:.1f} MB")
    advice = _fetch(file, f"dvc pull {params.model.checkpoint}.dvc") or "correct model.checkpoint in params.yaml"
    return Finding("missing", "base model", f"{params.model.checkpoint} is not there", advice)


def _data(root: Path, domain: str) -> Finding:
    from naslora_core.data.dataset.dataset import read_dataset

    try:
        dataset = read_dataset(StagePaths(root).data(domain))
    except NasLoraError as error:
        advice = _fetch(root / "data", "dvc pull data.dvc") if not (root / "data").is_dir() else ""
        return Finding("missing", f"data/{domain}", str(error), advice or "see naslora data --help")
    return Finding("ok", f"data/{domain}", f"{len(dataset.pairs)} pairs")


def _fetch(tracked: Path, command: str) -> str:
    return command if tracked.with_name(tracked.name + ".dvc").is_file() else ""


def _remote(root: Path) -> Finding:
    try:
        return Finding("ok", "dvc remote", dvc.default_remote(root))
    except NasLoraError as error:
        return Finding("note", "dvc remote", str(error), "dvc remote add -d NAME URL, to share data and models")


def _serving(root: Path, params: Params) -> Finding:
    served = [name for name in params.domains if (root / "serving" / name / "model.safetensors").is_file()]
    if served:
        return Finding("ok", "in service", ", ".join(served))
    return Finding("note", "in service", "no model yet", "naslora run")
