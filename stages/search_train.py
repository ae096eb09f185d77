"""Stage search_train: find the architecture and train adapters and mask decoder, in one run."""

from pathlib import Path

from naslora_core.adapted import save_adapted
from naslora_core.config import Params
from naslora_core.data.clearance import clearance, dataset_sha256
from naslora_core.data.prepared import load_prepared
from naslora_core.errors import DataError, PipelineError
from naslora_core.files import atomic_directory, write_json
from naslora_core.genotype import describe_architecture
from naslora_core.progress import Progress
from naslora_core.sam.checkpoint import file_sha256, load_base
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.precision import best_device, describe_precision
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters
from naslora_core.training.history import AlphaRecord, EpochRecord, write_records
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.resume import fingerprint
from naslora_core.training.setup import add_adapters
from stages.curves import curves
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress, force: bool = False) -> None:
    """Write the adapter, the architecture, the learning curve and the path of the alphas.

    An interrupted run goes on from its last epoch if nothing it depends on has changed. `force` trains on data
    that the gate has not passed, and the adapter says so for ever.

    Raises:
        DataError: if the gate has not passed this data, and `force` is not given.
    """
    prepared = paths.source("preprocess", domain)
    provenance = _provenance(domain, paths, prepared, force)
    training, validation = load_prepared(prepared, "train"), load_prepared(prepared, "validation")
    sam = load_base(params.model)
    set_class_count(sam, len(training.classes))
    total = count_parameters(sam)
    adapters = add_adapters(sam, params.adapter, params.search, params.seed)
    segmenter = PromptFreeSegmenter(sam.to(device := best_device()))
    progress(1, 1, f"{params.model.name} computes in {describe_precision(params.model.precision, device)}")
    run = SearchAndTrain(
        segmenter,
        adapters,
        training,
        validation,
        params.train,
        params.search,
        params.model.precision,
        params.seed,
    )
    settings = params.model_dump_json(include={"seed", "model", "adapter", "search", "train"})
    inputs = (file_sha256(params.model.checkpoint), file_sha256(prepared / "manifest.json"))
    state_file = paths.root / ".naslora" / "resume" / f"{domain}-{fingerprint(settings, *inputs)}.pt"
    with curves(paths, domain, params.train.tensorboard) as watch:
        record = run.run(state_file, progress, watch)
    with atomic_directory(paths.output("search_train", domain)) as folder:
        save_adapted(folder, segmenter, adapters, params.model, params.adapter, params.search, params.seed, provenance)
        write_json(folder / "genotype.json", describe_architecture(sam, adapters))
        write_records(folder / "history.csv", EpochRecord, record.epochs)
        write_records(folder / "alphas.csv", AlphaRecord, record.alphas)
        metrics = {
            "validation_dice": record.best_dice,
            "best_epoch": record.best_epoch,
            "trainable_parameters": count_parameters(sam, trainable_only=True),
            "adapter_parameters": count_parameters(sam) - total,
            "total_parameters": total,
            "train_seconds": round(sum(epoch.seconds for epoch in record.epochs), 1),
        }
        write_json(folder / "metrics.json", metrics)
    state_file.unlink(missing_ok=True)


def _provenance(domain: str, paths: StagePaths, prepared: Path, force: bool) -> dict[str, str]:
    manifest = prepared / "manifest.json"
    try:
        return clearance(paths.source("validate", domain) / "verdict.json", manifest, paths.data(domain))
    except (DataError, PipelineError) as error:
        if force:
            return {"dataset_sha256": dataset_sha256(manifest), "gate": f"forced: {error}"}
        again = f"naslora stage search-train --domain {domain} --force"
        raise DataError(f"{error}\nNothing was trained. To train all the same, on record: {again}") from error


if __name__ == "__main__":
    run_stage(main, switches={"force": "train on data that the gate has not passed; only with --run"})
