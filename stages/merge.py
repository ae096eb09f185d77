"""Stage merge: merge the trained adapter into the model, and certify the difference."""

import json
from dataclasses import replace

from naslora_core.adapted.saved import CONFIG_FILE, load_adapted
from naslora_core.config import Params
from naslora_core.data.prepared.prepared import load_prepared
from naslora_core.errors import DataError
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.certificate import certify, seconds_per_image
from naslora_core.merge.choose import choose
from naslora_core.merge.context import MergeContext
from naslora_core.merge.merged import DEFAULT_THRESHOLD, save_merged
from naslora_core.merge.training_images import describe_training
from naslora_core.progress import Progress
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.precision import best_device
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write the merged model, its update as a LoRA where its rank is low, and its certificate.

    Raises:
        DataError: if the adapter was trained on whole images and the arrays were made for crops, or conversely.
        MergeError: if every merge that merge.mode allows would cost more than merge.max_metric_drop.
    """
    source, prepared = paths.source("search_train", domain), paths.source("preprocess", domain)
    training, validation = load_prepared(prepared, "train"), load_prepared(prepared, "validation")
    segmenter = load_adapted(source, params.model)[0]
    if (segmenter.scale is None) != (training.scale is None):
        kinds = ["whole images", "crops"] if segmenter.scale is None else ["crops", "whole images"]
        raise DataError(
            f"{source} was trained on {kinds[0]}, and {prepared} was made for {kinds[1]} since; run stage "
            "search-train, or stage preprocess with the train.view of that training"
        )
    training, validation = (replace(data, scale=segmenter.scale) for data in (training, validation))
    adapted = segmenter.sam.to(best_device())
    context = MergeContext(training, params.merge, params.model.precision, progress)
    choice = choose(adapted, validation, context)
    base = load_base(params.model).to(adapted.device)
    certificate = certify(choice, base, adapted, validation, params.merge.max_metric_drop)
    origin = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8")) | describe_training(training)
    threshold = certificate.threshold.chosen if certificate.threshold else DEFAULT_THRESHOLD
    with atomic_directory(paths.output("merge", domain)) as folder:
        save_merged(folder, choice.merged, params.model.name, choice.mode, {"domain": domain, **origin}, threshold)
        write_json(folder / "certificate.json", certificate.notes() | {"merge": params.merge.model_dump(mode="json")})
    seconds = seconds_per_image(choice, base, adapted, validation)
    write_json(paths.timing("merge", domain), {"seconds_per_image": seconds})


if __name__ == "__main__":
    run_stage(main, stage="merge")
