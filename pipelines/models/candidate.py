"""The candidate: the last run's model, with its provenance (data, settings, code, base, seeds)."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from naslora_core.config import Params
from naslora_core.data.dataset.dataset import fingerprint, read_dataset
from naslora_core.errors import PipelineError
from naslora_core.files import file_sha256
from pipelines.dvc.lock_file import DvcLock
from pipelines.models.registry import ModelVersion, utc_now
from pipelines.models.score_fingerprint import score_fingerprint
from stages.paths import StagePaths
from stages.provenance import code_revision

MODEL, START, EVIDENCE = "model", "start", "evidence"
PAIRS_FILE = f"{EVIDENCE}/pairs.json"


@dataclass(frozen=True)
class Candidate:
    """A finished model among the pipeline's outputs.

    Args:
        domain: what it segments.
        identity: MD5 of its weights, from dvc.lock.
        files: what to keep of it, by path in the registry: `MODEL` is what serves, `START` is what a training
            can go on from, `EVIDENCE` is what a comparison needs.
    """

    domain: str
    identity: str
    files: dict[str, Path]


def finished_identity(lock: DvcLock, domain: str) -> str | None:
    """Return the MD5 of the weights of a domain's finished model; None if merge or evaluate has not run."""
    merge, evaluate = lock.stage("merge", domain), lock.stage("evaluate", domain)
    weights = f"artifacts/merge/{domain}/model.safetensors"
    if merge is None or evaluate is None or evaluate.deps.get(weights) != merge.outs[weights]:
        return None
    return merge.outs[weights]


def find_candidate(root: Path, lock: DvcLock, domain: str) -> Candidate | None:
    """Return the finished model of a domain, or None if merge or evaluate has not run.

    Raises:
        PipelineError: if its files are not here, as in a clone, or are those of another model.
    """
    identity, merge = finished_identity(lock, domain), lock.stage("merge", domain)
    if identity is None or merge is None:
        return None
    paths = StagePaths(root)
    trained, scored = paths.output("search_train", domain), paths.output("evaluate", domain)
    merged = paths.output("merge", domain)
    files = {f"{MODEL}/{Path(out).name}": root / out for out in merge.outs if merged in (root / out).parents}
    files[f"{MODEL}/metrics.json"] = scored / "metrics.json"
    files |= {f"{START}/{path.name}": path for path in sorted(trained.glob("*.safetensors"))}
    files[f"{START}/adapter.json"] = trained / "adapter.json"
    files[f"{EVIDENCE}/training.json"] = trained / "metrics.json"
    files[f"{EVIDENCE}/per_image.csv"] = scored / "per_image.csv"
    files[f"{EVIDENCE}/manifest.json"] = paths.output("preprocess", domain) / "manifest.json"
    weights = files[f"{MODEL}/model.safetensors"]
    if any(not path.is_file() for path in files.values()) or _md5(weights) != identity:
        raise PipelineError(
            f"the model that dvc.lock records for '{domain}' is not here, and the registry has no files of it; "
            f"fetch it with: naslora results pull --domain {domain}. If nobody has pushed it, train it again: "
            f"naslora run --domain {domain} --force"
        )
    measurements = paths.output("validate", domain) / "measurements.parquet"
    if measurements.is_file():
        # Later versions of the data are compared with these.
        files[f"{MODEL}/{measurements.name}"] = measurements
    return Candidate(domain, identity, files)


def describe(root: Path, lock: DvcLock, candidate: Candidate, params: Params, number: int) -> ModelVersion:
    """Return the entry of a candidate in the registry."""
    origin = _json(candidate.files[f"{MODEL}/model.json"])["origin"]
    certificate = candidate.files[f"{MODEL}/certificate.json"]
    return ModelVersion(
        number=number,
        created=utc_now(),
        identity=candidate.identity,
        files={name: file_sha256(path) for name, path in sorted(candidate.files.items())},
        data=_data_version(root, candidate.files[f"{EVIDENCE}/manifest.json"]),
        params=lock.params(candidate.domain),
        code=_code(root),
        base=origin["base"],
        seeds=[origin["seed"]],
        certificate=_json(certificate),
        metrics=_json(candidate.files[f"{MODEL}/metrics.json"])["merged"],
        yardstick=score_fingerprint(root, lock, candidate.domain, params),
        training=_json(candidate.files[f"{EVIDENCE}/training.json"]) | _train_seconds(root, candidate.domain),
    )


def pair_hashes(root: Path, domain: str) -> dict[str, str]:
    """Return a SHA-256 over the split and the content of every pair of a domain, by name."""
    dataset = read_dataset(StagePaths(root).data(domain))
    return {pair.name: fingerprint(replace(dataset, pairs=(pair,))) for pair in dataset.pairs}


def _train_seconds(root: Path, domain: str) -> dict[str, float]:
    """Return how long training took, as "train_seconds"; nothing where that is not known."""
    timing = StagePaths(root).timing("search_train", domain)
    return {"train_seconds": _json(timing)["train_seconds"]} if timing.is_file() else {}


def _data_version(root: Path, manifest: Path) -> dict[str, Any]:
    content = _json(manifest)
    tracked = root / "data.dvc"
    outs = YAML(typ="safe").load(tracked.read_text(encoding="utf-8"))["outs"] if tracked.is_file() else []
    return {
        "data.dvc": outs[0]["md5"] if outs else None,
        "sha256": content["dataset_sha256"],
        "pairs": dict(Counter(item["split"] for item in content["items"])),
    }


def _code(root: Path) -> str:
    revision = code_revision(root, "--untracked-files=no", "--", "*.py", "dvc.yaml", "params.yaml")
    return "unknown" if revision is None else revision.commit + "+changes" * revision.is_changed


def _md5(path: Path) -> str:
    """Return the hash by which DVC knows a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
