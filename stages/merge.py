"""Stage merge: make the trained adapter part of the model, and certify what that changed."""

import json

from naslora_core.adapted import CONFIG_FILE, load_adapted
from naslora_core.config import Params
from naslora_core.data.preprocess import load_prepared
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.certificate import certify
from naslora_core.merge.fold import fold
from naslora_core.merge.merged import save_merged
from naslora_core.progress import Progress
from naslora_core.sam.checkpoint import load_base
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write the merged model and its certificate.

    Raises:
        MergeError: if the merge would cost more validation Dice than merge.max_metric_drop.
    """
    source = paths.source("search_train", domain)
    validation = load_prepared(paths.source("preprocess", domain), "validation")
    segmenter, _ = load_adapted(source, params.model)
    merged = fold(segmenter.sam)
    progress(1, 2, f"certify the merge of {domain}")
    mode, allowed = params.merge.mode, params.merge.max_metric_drop
    certificate = certify(mode, load_base(params.model), segmenter.sam, merged, validation, allowed)
    origin = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))
    with atomic_directory(paths.output("merge", domain)) as folder:
        save_merged(folder, merged, params.model.name, mode, {"domain": domain, **origin})
        write_json(folder / "certificate.json", certificate.model_dump())
    progress(2, 2, f"merge {domain}")


if __name__ == "__main__":
    run_stage(main)
