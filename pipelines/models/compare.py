"""Compare a new model with the one in service, scored on the same test images."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from naslora_core.config import Params, RetrainConfig
from naslora_core.errors import DataError
from naslora_core.evaluation.bootstrap import bootstrap_interval
from naslora_core.evaluation.metrics import METRICS
from naslora_core.progress import Progress
from naslora_core.report.headline import Interval
from pipelines.models.candidate import EVIDENCE, MODEL
from pipelines.models.registry import ModelRegistry, ModelVersion
from pipelines.models.score_fingerprint import test_split


@dataclass(frozen=True)
class MetricRow:
    """One metric of both models: means over images, and the mean paired difference, candidate minus serving."""

    metric: str
    serving: Interval
    candidate: Interval
    difference: Interval


@dataclass(frozen=True)
class ModelComparison:
    """Two versions of a model on the same images.

    Args:
        domain: what they segment.
        serving: number of the version in service.
        candidate: number of the new version.
        images: how many test images both were scored on.
        left_out: test images that the model in service has been trained on, by name; not among `images`.
        remeasured: whether the model in service had to be scored again, because images or code had changed.
        rows: all metrics.
    """

    domain: str
    serving: int
    candidate: int
    images: int
    left_out: tuple[str, ...]
    remeasured: bool
    rows: tuple[MetricRow, ...]

    def row(self, metric: str) -> MetricRow:
        """Return the row of a metric."""
        return next(row for row in self.rows if row.metric == metric)


def compare(root: Path, params: Params, domain: str, candidate: ModelVersion, progress: Progress) -> ModelComparison:
    """Compare a version with the one in service, image by image, with paired bootstrap intervals (95 %).

    Raises:
        DataError: if no test image is left that the model in service has not been trained on.
    """
    registry = ModelRegistry(root)
    serving = registry.read(domain).in_service
    assert serving is not None, "the first model of a domain has nothing to be compared with"
    new = _stored_scores(registry.files(domain, candidate.number))
    remeasured = serving.yardstick != candidate.yardstick
    if remeasured:
        old = measure(root, params, domain, registry.files(domain, serving.number) / MODEL, progress)
    else:
        old = _stored_scores(registry.files(domain, serving.number))
    seen = _trained_on(registry.files(domain, serving.number))
    left_out = tuple(name for name in new.index if name in seen)
    names = [name for name in new.index if name not in seen]
    if not names:
        raise DataError(
            f"'{domain}': version {serving.number} in service was trained on every test image of today; add images "
            "to the test split in splits.csv, or decide yourself: naslora models promote"
        )
    old, new = old.loc[names], new.loc[names]
    rows = tuple(_row(metric, old[metric], new[metric], params.seed) for metric in METRICS)
    return ModelComparison(domain, serving.number, candidate.number, len(names), left_out, remeasured, rows)


def judge(comparison: ModelComparison, rule: RetrainConfig) -> tuple[bool, str]:
    """Return whether the candidate is to be promoted, and why or why not in one sentence."""
    row = comparison.row(rule.metric)
    gain = row.difference
    measured = (
        f"{METRICS[rule.metric].title} {row.candidate.mean:.3f} against {row.serving.mean:.3f} of version "
        f"{comparison.serving} on the same {comparison.images} test images, difference {gain.mean:+.3f} "
        f"[{gain.low:+.3f}, {gain.high:+.3f}]"
    )
    if gain.low > 0:
        return True, f"better: {measured}"
    if gain.low > -rule.max_drop:
        return True, f"not worse by more than retrain.max_drop = {rule.max_drop:g}: {measured}"
    if gain.high < 0:
        return False, f"worse: {measured}"
    return False, f"not shown to be better, the interval reaches {gain.low:+.3f}: {measured}"


def _stored_scores(files: Path) -> pd.DataFrame:
    table = pd.read_csv(files / EVIDENCE / "per_image.csv", dtype={"name": str})
    return table[table["model"] == "merged"].set_index("name")


def measure(root: Path, params: Params, domain: str, model: Path, progress: Progress) -> pd.DataFrame:
    """Score the merged model in a folder on the current test images; return one row of metrics per image name."""
    # They load torch, which comparing stored scores does not need.
    from naslora_core.data.dataset.image_files.reading import parse_reading
    from naslora_core.evaluation.evaluate import evaluate_model
    from naslora_core.merge.merged import decide_threshold
    from naslora_core.merge.training_images import stored_reading
    from naslora_core.predict import Predictor
    from naslora_core.sam.inference import Inference

    dataset = test_split(root, domain)
    inference = Inference(params.evaluate.flips, params.evaluate.overlap)
    predictor = Predictor.merged(model, params.model.precision, inference=inference)
    # A model is measured on images as it was trained to see them.
    card = dataset.card.model_copy(update={"image": parse_reading(stored_reading(model), model) or dataset.card.image})
    threshold = decide_threshold(params.evaluate.threshold, model)
    scored = evaluate_model(predictor, dataset.pairs, card, threshold, progress, "in service")
    return scored.table.set_index("name")


def _trained_on(files: Path) -> set[str]:
    items = json.loads((files / EVIDENCE / "manifest.json").read_text(encoding="utf-8"))["items"]
    return {str(item["name"]) for item in items if item["split"] != "test"}


def _row(metric: str, old: pd.Series, new: pd.Series, seed: int) -> MetricRow:
    before, after = old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64)
    return MetricRow(metric, *(_interval(values, seed) for values in (before, after, after - before)))


def _interval(values: np.ndarray, seed: int) -> Interval:
    return Interval(float(values.mean()), *bootstrap_interval(values, seed))
