"""Read the results of a bench table's trainings, and summarise them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from naslora_core.bench.statistics import describe, paired_difference, score_matrix
from naslora_core.bench.table import Table, Training
from naslora_core.errors import DataError
from naslora_core.files import atomic_file

METRIC = "dice"
# In the place of a merge, for what has none.
NO_MERGE = "none"


@dataclass(frozen=True)
class TrainingFolders:
    """The output folders of one finished training, and whether its merge was refused.

    Attributes:
        merge: None for a rival, which has nothing to merge.
        timing: holds what the stages say of times.
        refused: why the model could not be merged within `merge.max_metric_drop`; None where it was.
    """

    search_train: Path
    merge: Path | None
    evaluate: Path
    timing: Path
    refused: str | None

    @property
    def is_rival(self) -> bool:
        """Whether it is that of a U-Net, which has neither epochs nor adapters."""
        return self.merge is None


def read_results(trainings: Mapping[Training, TrainingFolders]) -> pd.DataFrame:
    """Return the scores of every image: domain, row, seed, model (adapted, merged), name and one column a metric."""
    tables = []
    for training, folders in trainings.items():
        table = pd.read_csv(folders.evaluate / "per_image.csv", dtype={"name": str})
        tables.append(table.assign(domain=training.domain, row=training.row, seed=training.seed))
    results = pd.concat(tables, ignore_index=True)
    first = ["domain", "row", "seed", "model", "name"]
    return results[[*first, *(column for column in results if column not in first)]]


def write_results(path: Path, results: pd.DataFrame) -> None:
    """Write the scores of every image as one Parquet file, atomically."""
    with atomic_file(path) as temporary:
        results.to_parquet(temporary, index=False)


def summarise(
    table: Table,
    trainings: Mapping[Training, TrainingFolders],
    results: pd.DataFrame,
    cost: Mapping[str, Mapping[str, float]],
    seed: int,
) -> dict[str, Any]:
    """Return scores with intervals, differences to the reference and facts of the trainings, as JSON can hold them.

    Args:
        table: what was asked for.
        trainings: the finished trainings.
        results: their scores, as `read_results` gives them.
        cost: of a training step by row, as `compare_training` gives it; may be empty.
        seed: of the bootstrap.

    Returns:
        {"question", "reference", "metric", "domains": {domain: {row: {...}}}, "cost": {row: {...}}}.

    Raises:
        DataError: if a file of a training is missing.
    """
    domains: dict[str, dict[str, Any]] = {}
    for domain in table.domains:
        there = results[(results["domain"] == domain)]
        scores = {row: _matrices(there[there["row"] == row]) for row in table.names if (there["row"] == row).any()}
        domains[domain] = {}
        for row, by_model in scores.items():
            facts = _facts(
                [folders for training, folders in trainings.items() if (training.domain, training.row) == (domain, row)]
            )
            difference = None
            if row != table.reference and table.reference in scores:
                difference = paired_difference(by_model["adapted"], scores[table.reference]["adapted"], seed)
            own = {model: describe(matrix, seed) for model, matrix in by_model.items()}
            rival = {
                "rival_of": table.rivals.get(row),
                "rates_tried": len(table.rival_rates) if row in table.rivals else 0,
                **_origin(table, domain, row),
            }
            domains[domain][row] = {**own, "difference": difference, **rival, **facts}
    return {
        "question": table.question,
        "reference": table.reference,
        "metric": METRIC,
        "domains": domains,
        "cost": {row: dict(figures) for row, figures in cost.items()},
    }


def _origin(table: Table, domain: str, row: str) -> dict[str, str | None]:
    if row not in table.transfers:
        return {"transfer_of": None, "found_on": None}
    donor = table.donor_of(Training(domain, row, table.seeds[0]))
    return {"transfer_of": donor.row, "found_on": donor.domain}


def _matrices(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {model: score_matrix(results[results["model"] == model], METRIC) for model in ("adapted", "merged")}


def read_genotype(folders: TrainingFolders) -> dict[str, Any]:
    """Return the genotype.json of a training; empty for a rival, which has none."""
    return {} if folders.is_rival else _read(folders.search_train / "genotype.json")


def _facts(folders: Sequence[TrainingFolders]) -> dict[str, Any]:
    """Return means over the seeds of a training's own metrics and of its merge; None for times nobody has kept."""
    training = [_read(folder.search_train / "metrics.json") for folder in folders]
    certificates = [
        _read(folder.merge / "certificate.json") if folder.merge else {"mode": NO_MERGE} for folder in folders
    ]
    # Trainings of earlier versions have the times in the two files above.
    times = [
        training_ | certificate | _times(folder.timing)
        for folder, training_, certificate in zip(folders, training, certificates, strict=True)
    ]
    train_s = [known["train_seconds"] for known in times if "train_seconds" in known]
    cpu_s = [known["train_cpu_seconds"] for known in times if "train_cpu_seconds" in known]
    image_s = [known["seconds_per_image"] for known in times if "seconds_per_image" in known]
    genotypes = [read_genotype(folder) for folder in folders]
    estimates = [genotype["inference"] for genotype in genotypes if "inference" in genotype]
    # Under a budget a layer's tensors have the rank of its largest projection; what counts are those in use.
    adapters = [
        genotype.get("parameters", training_.get("adapter_parameters"))
        for genotype, training_ in zip(genotypes, training, strict=True)
    ]
    return {
        "trainable_parameters": training[0]["trainable_parameters"],
        "adapter_parameters": _mean([count for count in adapters if count is not None]),
        "estimated_inference": _mean(estimates),
        "train_seconds": _mean(train_s),
        "train_cpu_seconds": _mean(cpu_s),
        "learning_rates": sorted({one["learning_rate"] for one in training if "learning_rate" in one}),
        "merge": sorted({merge_words(certificate) for certificate in certificates}),
        "merge_refused": next((folder.refused for folder in folders if folder.refused), None),
        "latency_ratio": _mean([seconds["merged"] / seconds["base"] for seconds in image_s]),
    }


def merge_words(certificate: Mapping[str, Any]) -> str:
    """Return the merge's mode; of a mixed one with how many layers are folded, which alone costs time."""
    layers = certificate.get("layers", [])
    folded = sum(layer["merge"] == "fold" for layer in layers)
    mode: str = certificate["mode"]
    return f"{mode} ({folded} of {len(layers)} layers folded)" if mode == "mixed" else mode


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _times(folder: Path) -> dict[str, Any]:
    """Return what the stages have noted of times in a folder, as far as it is there."""
    times: dict[str, Any] = {}
    for path in (folder / "search_train.json", folder / "merge.json"):
        times |= _read(path) if path.is_file() else {}
    return times


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        again = f"delete {path.parents[2]} to measure its training again"
        raise DataError(f"{path} not found, though its training has finished; {again}") from error
