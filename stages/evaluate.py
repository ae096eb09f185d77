"""Stage evaluate: score base, adapted and merged model on the test images at their native size."""

from functools import partial
from typing import Any

import numpy as np

from naslora_core.adapted.saved import describe_base, read_adapter_config, require_base
from naslora_core.config import Params
from naslora_core.data.dataset.dataset import Pair, read_dataset
from naslora_core.evaluation.breakdown import breakdowns
from naslora_core.evaluation.choices import Usage, measure_choices
from naslora_core.evaluation.evaluate import Evaluation, evaluate_models
from naslora_core.evaluation.summary import means, summarise, summarise_classes, summarise_set
from naslora_core.evaluation.tables import write_tables
from naslora_core.evaluation.traits import describe_images
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.merged import decide_threshold, read_merged_notes
from naslora_core.pictures.gallery import write_gallery
from naslora_core.pictures.gradcam import explain
from naslora_core.pictures.heat import choose_by_score, write_heat
from naslora_core.predict import Predictor
from naslora_core.progress import Progress
from naslora_core.sam.inference import Inference
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress, pictures: bool = True) -> None:
    """Write metrics.json (means), summary.json (intervals), tables per image, threshold and bin, and the gallery.

    test_time.json says what other choices at test time would gain, on validation images. Without `pictures` there is
    neither that, nor gallery nor heat, for who wants many trainings' numbers.
    """
    trained = paths.source("search_train", domain)
    require_base(trained, read_adapter_config(trained), describe_base(params.model))
    dataset = read_dataset(paths.data(domain))
    pairs, card = dataset.of_split("test"), dataset.card
    inference = Inference(params.evaluate.flips, params.evaluate.overlap)
    merged_folder = paths.source("merge", domain)
    threshold = decide_threshold(params.evaluate.threshold, merged_folder)
    # The merged model first: its scores choose the images that heat is drawn on.
    loaders = {
        "merged": partial(Predictor.merged, merged_folder, params.model.precision, inference=inference),
        "base": partial(Predictor.base, params.model, inference),
        "adapted": partial(Predictor.adapted, trained, params.model, inference),
    }
    shown: list[Pair] = []
    heats: dict[str, dict[str, np.ndarray]] = {}
    test_time: dict[str, Any] = {}
    seconds: dict[str, float] = {}

    def look_closer(model: str, predictor: Predictor, evaluation: Evaluation) -> None:
        if model != "merged":
            heats[model] = explain(predictor.segmenter, shown, card, progress)
            return
        shown.extend(choose_by_score(pairs, evaluation.table.set_index("name")["dice"]))
        in_use = Usage(params.evaluate.flips, params.evaluate.overlap, threshold)
        found, taken = measure_choices(
            lambda flips, overlap: partial(predictor.using(Inference(overlap=overlap)).with_flips, flips=flips),
            in_use, predictor.window is not None, read_merged_notes(merged_folder).threshold,
            dataset.of_split("validation"), card, params.seed, progress,
        )  # fmt: skip
        test_time.update(found)
        seconds.update(taken)

    traits = describe_images(pairs, card)
    scored = evaluate_models(loaders, pairs, card, threshold, progress, look_closer if pictures else None)
    evaluations = {model: scored[model] for model in ("base", "adapted", "merged")}
    tables = {model: evaluation.table for model, evaluation in evaluations.items()}
    of_set = summarise_set({model: evaluation.whole.scores() for model, evaluation in evaluations.items()})
    about = card.model_dump(include={"title", "licence", "citation", "source"})
    with atomic_directory(paths.output("evaluate", domain)) as folder:
        write_tables(folder, evaluations, traits)
        write_json(
            folder / "metrics.json",
            {model: scores | of_set["set_metrics"][model] for model, scores in means(tables).items()},
        )
        write_json(
            folder / "summary.json",
            {"dataset": about, "evaluate": params.evaluate.model_dump(mode="json")}
            | summarise(tables, params.seed)
            | summarise_classes(tables, card.classes)
            | of_set
            | {"breakdowns": breakdowns(tables, traits, params.seed)},
        )
        if not pictures:
            return
        write_gallery(folder, pairs, card, evaluations, params.evaluate.gallery_size)
        write_heat(folder, shown, card, heats)
        write_json(folder / "test_time.json", test_time)
    write_json(paths.timing("evaluate", domain), {"test_time_cpu_seconds": seconds})


if __name__ == "__main__":
    run_stage(main, stage="evaluate")
