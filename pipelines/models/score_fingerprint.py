"""Fingerprint the inputs of a score beside the model: test images, settings and code of the scoring."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from naslora_core.config import Params
from naslora_core.data.dataset.dataset import Dataset, fingerprint, read_dataset
from naslora_core.data.dataset.splits import TEST
from pipelines.dvc.lock_file import DvcLock
from stages.paths import StagePaths


def score_fingerprint(root: Path, lock: DvcLock, domain: str, params: Params) -> str:
    """Return a fingerprint of a measurement; stored scores with the same one are comparable.

    Returns:
        A SHA-256 over the test images and masks, the code that dvc.lock says they were scored with, and the
        settings of that.
    """
    stage = lock.stage("evaluate", domain)
    code = {} if stage is None else {
        path: md5 for path, md5 in sorted(stage.deps.items()) if not path.startswith(("artifacts/", "data/", "models/"))
    }  # fmt: skip
    usage = params.evaluate.model_dump(exclude={"gallery_size"})
    settings = usage | {"precision": params.model.precision}
    parts = [fingerprint(test_split(root, domain)), json.dumps([code, settings], sort_keys=True)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def test_split(root: Path, domain: str) -> Dataset:
    """Return the dataset of a domain with its test pairs only."""
    dataset = read_dataset(StagePaths(root).data(domain))
    return replace(dataset, pairs=tuple(dataset.of_split(TEST)))
