"""Warm start: let a training start from the adapter in service, where that is asked for and fits."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from naslora_core.adapted.warm_start import FORMAT, START_FILE
from naslora_core.config import Params
from naslora_core.files import atomic_directory, write_json
from pipelines.models.candidate import PAIRS_FILE, START, pair_hashes
from pipelines.models.registry import ModelRegistry, ModelVersion
from stages.paths import StagePaths

# A change in one of these is a change of what is trained, and asks for a training from the start.
_SETTINGS = ("seed", "model", "adapter", "search", "train")


def prepare_warm_start(root: Path, params: Params, domain: str, say: Callable[[str], None]) -> None:
    """Copy the adapter in service to the warm-start folder if the domain only grew since; else empty that folder.

    The start is no dependency of the stage: DVC would train again whenever another model is promoted. That a
    model had one stands in its metrics, in the registry and in the decision about it.
    """
    target = StagePaths(root).warm_start(domain)
    version = ModelRegistry(root).read(domain).in_service if params.retrain.warm_start else None
    reason = "" if version is None else _why_not(root, params, domain, version)
    if version is None or reason:
        shutil.rmtree(target, ignore_errors=True)
        if reason:
            say(f"{domain}: trained from the start, {reason}")
        return
    files = ModelRegistry(root).files(domain, version.number) / START
    with atomic_directory(target) as folder:
        for file in sorted(files.iterdir()):
            shutil.copy2(file, folder / file.name)
        write_json(
            folder / START_FILE, {"format": FORMAT, "version": version.number, "epochs": params.retrain.warm_epochs}
        )
    say(f"{domain}: starts from version {version.number}, {params.retrain.warm_epochs} epochs")


def describe_warm_start(version: ModelVersion, start: ModelVersion) -> str:
    """Describe what a warm start saved: the training time beside that of the model it started from."""
    new, old = version.training, start.training
    return (
        f"started from version {start.number}: {_effort(new)}, where that took {_effort(old)}; what it cost or gained "
        "in quality is the difference above"
    )


def _effort(training: Mapping[str, Any]) -> str:
    seconds = f" in {training['train_seconds']} s" if "train_seconds" in training else ""
    return f"{training['epochs']} epochs{seconds}"


def _why_not(root: Path, params: Params, domain: str, version: ModelVersion) -> str:
    """Return the reason against a warm start from a version; "" if there is none."""
    settings: dict[str, Any] = params.model_dump(mode="json", include=set(_SETTINGS))
    if changed := [name for name in _SETTINGS if version.params.get(name) != settings[name]]:
        return f"because {', '.join(changed)} changed in params.yaml"
    before = json.loads((ModelRegistry(root).files(domain, version.number) / PAIRS_FILE).read_text(encoding="utf-8"))
    now = pair_hashes(root, domain)
    gone = sum(name not in now for name in before)
    other = sum(name in now and now[name] != content for name, content in before.items())
    return f"because {gone} pairs are gone and {other} have changed" if gone or other else ""
