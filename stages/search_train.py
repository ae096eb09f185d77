"""Stage search_train: find the architecture and train adapters and mask decoder, in one run."""

from naslora_core.adapted import continue_from, save_adapted
from naslora_core.config import Params
from naslora_core.data.preprocess import load_prepared
from naslora_core.files import atomic_directory, file_sha256, write_json
from naslora_core.genotype import describe_architecture
from naslora_core.progress import Progress
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.classes import set_class_count
from naslora_core.sam.precision import best_device
from naslora_core.sam.segmenter import PromptFreeSegmenter, count_parameters
from naslora_core.training.history import AlphaRecord, EpochRecord, write_records
from naslora_core.training.loop import SearchAndTrain
from naslora_core.training.resume import fingerprint
from naslora_core.training.setup import add_adapters
from naslora_core.warm_start import find_warm_start
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write the adapter, the architecture, the learning curve and the path of the alphas.

    An interrupted run goes on from its last epoch if nothing it depends on has changed. A run that an earlier
    adapter was laid out for starts from that one, with a schedule of its own.
    """
    prepared = paths.source("preprocess", domain)
    training, validation = load_prepared(prepared, "train"), load_prepared(prepared, "validation")
    sam = load_base(params.model)
    set_class_count(sam, len(training.classes))
    total = count_parameters(sam)
    adapters = add_adapters(sam, params.adapter, params.search, params.seed)
    train, search = params.train, params.search
    if warm := find_warm_start(paths.warm_start(domain)):
        continue_from(sam, warm.folder, params.model)
        train, search = warm.shorten(train, search)
    segmenter = PromptFreeSegmenter(sam.to(best_device()))
    run = SearchAndTrain(
        segmenter,
        adapters,
        training,
        validation,
        train,
        search,
        params.model.precision,
        params.seed,
    )
    settings = params.model_dump_json(include={"seed", "model", "adapter", "search", "train"})
    inputs = [file_sha256(params.model.checkpoint), file_sha256(prepared / "manifest.json")]
    inputs += [warm.fingerprint] if warm else []
    state_file = paths.root / ".naslora" / "resume" / f"{domain}-{fingerprint(settings, *inputs)}.pt"
    record = run.run(state_file, progress)
    with atomic_directory(paths.output("search_train", domain)) as folder:
        save_adapted(folder, segmenter, adapters, params.model, params.adapter, params.search, params.seed)
        write_json(folder / "genotype.json", describe_architecture(sam, adapters))
        write_records(folder / "history.csv", EpochRecord, record.epochs)
        write_records(folder / "alphas.csv", AlphaRecord, record.alphas)
        metrics = {
            "validation_dice": record.best_dice,
            "best_epoch": record.best_epoch,
            "trainable_parameters": count_parameters(sam, trainable_only=True),
            "adapter_parameters": count_parameters(sam) - total,
            "total_parameters": total,
            "epochs": len(record.epochs),
            "warm_start": warm.version if warm else None,
            "train_seconds": round(sum(epoch.seconds for epoch in record.epochs), 1),
        }
        write_json(folder / "metrics.json", metrics)
    state_file.unlink(missing_ok=True)


if __name__ == "__main__":
    run_stage(main)
