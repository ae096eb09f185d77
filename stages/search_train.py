"""Stage search_train: find the architecture and train adapters and mask decoder, in one run."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from naslora_core.adapted.architecture import keep_found
from naslora_core.adapted.attach import add_adapters
from naslora_core.adapted.genotype import describe_genotype
from naslora_core.adapted.saved import continue_from, read_adapter_config, save_adapted
from naslora_core.adapted.warm_start import WarmStart, find_warm_start
from naslora_core.config import Params, TrainConfig
from naslora_core.data.dataset.clearance import CLEARANCE_FILE
from naslora_core.data.dataset.view import VIEW_FILE, read_view
from naslora_core.data.prepared.clearance import clearance, dataset_sha256
from naslora_core.data.prepared.prepared import PreparedData, describe_reading, load_prepared
from naslora_core.errors import DataError, PipelineError
from naslora_core.files import atomic_directory, file_sha256, write_json
from naslora_core.progress import Progress, silent
from naslora_core.sam.build import Sam
from naslora_core.sam.checkpoint import checkpoint_sha256, load_base
from naslora_core.sam.detail import Detail
from naslora_core.sam.head import MaskHead, set_head
from naslora_core.sam.precision import best_device, describe_precision
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters
from naslora_core.training.checks import describe_determinism
from naslora_core.training.distributed import Processes
from naslora_core.training.history import AlphaRecord, EpochRecord, ignore_epoch, write_records
from naslora_core.training.loop import SearchAndTrain, TrainingRecord
from naslora_core.training.memory import keep_freed_memory
from naslora_core.training.phases import AlternatingPhases
from naslora_core.training.resume import Checkpoints, fingerprint
from stages.curves import curves
from stages.paths import StagePaths
from stages.runner import run_stage

# Beside the one after each epoch; what a kill can cost at most, where an epoch takes hours.
CHECKPOINT_S = 600.0


def main(domain: str, params: Params, paths: StagePaths, progress: Progress, force: bool = False) -> str | None:
    """Write the adapter, the architecture, the learning curve and the alphas by epoch.

    An interrupted run resumes from its last checkpoint if nothing it depends on has changed. If a warm start was
    prepared, training starts from that adapter, with shorter schedules. `force` trains on data that the gate
    has not passed, and the adapter records it.

    Returns:
        Why the result must not be found again by its inputs; None if it may be.

    Raises:
        DataError: if the gate has not passed this data, and `force` is not given.
    """
    prepared = paths.source("preprocess", domain)
    provenance = _provenance(domain, paths, prepared, force)
    training, validation = (load_prepared(prepared, split, params.train.scale) for split in ("train", "validation"))
    train, detail = _decide(params.train, paths.source("validate", domain) / VIEW_FILE)
    processes = Processes()
    keep_freed_memory()
    progress = progress if processes.is_main else silent
    sam = load_base(params.model, progress, mapped=True)
    set_head(sam, MaskHead(len(training.classes), detail, training.scale), params.seed)
    total = count_parameters(sam)
    search, warm = params.search, find_warm_start(paths.warm_start(domain))
    # What was found under a budget is trained on; it is not searched again.
    found = read_adapter_config(warm.folder).architecture if warm else None
    adapters = add_adapters(sam, params.adapter, params.search, params.seed, found)
    if warm:
        continue_from(sam, warm.folder, params.model)
        train, search = warm.shorten(train, search)
    segmenter = PromptFreeSegmenter(sam.to(device := processes.device or best_device()))
    progress(1, 1, f"{params.model.name} computes in {describe_precision(params.model.precision, device)}")
    phases = AlternatingPhases(
        segmenter, adapters, training, train, search, params.model.precision, params.seed, processes
    )
    settings = params.model_dump_json(include={"seed", "model", "adapter", "search"}) + train.model_dump_json()
    inputs = [checkpoint_sha256(params.model.checkpoint), file_sha256(prepared / "manifest.json")]
    inputs += [warm.fingerprint] if warm else []
    state_file = paths.root / ".naslora" / "resume" / f"{domain}-{fingerprint(settings, *inputs)}.pt"
    checkpoints = Checkpoints(state_file, CHECKPOINT_S, processes.is_main)
    with curves(paths, domain, params.train.tensorboard) if processes.is_main else nullcontext(ignore_epoch) as draw:
        record = SearchAndTrain(phases, validation).run(checkpoints, progress, draw, fresh_adapters=warm is None)
    processes.wait()
    if not processes.is_main:
        return None
    genotype = describe_genotype(sam, adapters)
    adapters = keep_found(sam, adapters)
    about: dict[str, Any] = provenance | describe_determinism(sam.device, processes.count) | describe_reading(training)
    about |= {"train": _given(params.train, train, training), "class_names": training.classes}
    with atomic_directory(paths.output("search_train", domain)) as folder:
        save_adapted(folder, segmenter, adapters, params.model, params.adapter, params.search, params.seed, about)
        write_json(folder / "genotype.json", genotype)
        write_records(folder / "history.csv", EpochRecord, record.epochs)
        write_records(folder / "alphas.csv", AlphaRecord, record.alphas)
        write_json(folder / "metrics.json", _metrics(sam, record, total, warm))
    seconds = [epoch.seconds for epoch in record.epochs]
    times = {"train_seconds": round(sum(seconds), 1), "train_cpu_seconds": round(record.cpu_seconds, 1)}
    write_json(paths.timing("search_train", domain), times | {"epochs": seconds})
    checkpoints.remove()
    # What it started from is none of the stage's inputs: DVC would train again whenever another model is promoted.
    return f"training started from version {warm.version}, and another may start from none" if warm else None


def _decide(train: TrainConfig, view_file: Path) -> tuple[TrainConfig, Detail]:
    """Return the settings with what "auto" stands for in loss and detail, and the detail."""
    if train.detail != "auto" and train.loss != "auto":
        return train, train.detail
    suggested = read_view(view_file)
    detail: Detail = train.detail if train.detail != "auto" else ("half" if suggested.needs_detail else "off")
    loss = train.loss if train.loss != "auto" else ("ce_dice_cl" if suggested.has_thin_objects else "ce_dice")
    return train.model_copy(update={"detail": detail, "loss": loss}), detail


def _given(asked: TrainConfig, decided: TrainConfig, images: PreparedData) -> dict[str, Any]:
    """Return the settings of a training as adapter.json holds them, with what "auto" stood for."""
    view = "whole" if images.scale is None else "crops"
    found = {"view": view, "detail": decided.detail, "loss": decided.loss}
    return asked.model_dump(mode="json", exclude={"tensorboard"}) | found


def _metrics(sam: Sam, record: TrainingRecord, base_parameters: int, warm: WarmStart | None) -> dict[str, Any]:
    return {
        "validation_dice": record.best_dice,
        "best_epoch": record.best_epoch,
        "trainable_parameters": count_parameters(sam, trainable_only=True),
        "adapter_parameters": count_parameters(sam) - base_parameters,
        "total_parameters": base_parameters,
        "epochs": len(record.epochs),
        "warm_start": warm.version if warm else None,
    }


def _provenance(domain: str, paths: StagePaths, prepared: Path, force: bool) -> dict[str, str]:
    manifest = prepared / "manifest.json"
    try:
        return clearance(paths.source("validate", domain) / CLEARANCE_FILE, manifest, paths.data(domain))
    except (DataError, PipelineError) as error:
        if force:
            return {"dataset_sha256": dataset_sha256(manifest), "gate": f"forced: {error}"}
        again = f"naslora stage search-train --domain {domain} --force"
        raise DataError(f"{error}\nNothing was trained. To train all the same, on record: {again}") from error


if __name__ == "__main__":
    run_stage(main, switches=("force",), stage="search_train")
