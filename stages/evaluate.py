"""Stage evaluate: score base, adapted and merged model on the test images at their native size."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from naslora_core.adapted.saved import describe_base, load_adapted, read_adapter_config, require_base
from naslora_core.config import ModelConfig, Params
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.evaluation.breakdown import breakdowns
from naslora_core.evaluation.choices import Usage, measure_choices
from naslora_core.evaluation.evaluate import evaluate_models
from naslora_core.evaluation.summary import means, summarise, summarise_classes, summarise_set
from naslora_core.evaluation.tables import write_tables
from naslora_core.evaluation.traits import describe_images
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.merged import decide_threshold, read_merged_notes
from naslora_core.pictures.gallery import write_gallery
from naslora_core.pictures.gradcam import explain_models
from naslora_core.pictures.heat import choose_by_score, write_heat
from naslora_core.predict import Predictor
from naslora_core.progress import Progress
from naslora_core.sam.checkpoint import load_base
from naslora_core.sam.inference import Inference
from naslora_core.sam.segmenter import PromptFreeSegmenter
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
    load_merged = partial(Predictor.merged, merged_folder, params.model.precision, inference=inference)
    loaders = {
        "base": partial(Predictor.base, params.model, inference),
        "adapted": partial(Predictor.adapted, trained, params.model, inference),
        "merged": load_merged,
    }
    traits = describe_images(pairs, card)
    evaluations = evaluate_models(loaders, pairs, card, threshold, progress)
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
        shown = choose_by_score(pairs, tables["merged"].set_index("name")["dice"])
        segmenters = _segmenters(trained, params.model)
        write_heat(folder, shown, card, explain_models(segmenters, shown, card, progress))
        in_use = Usage(params.evaluate.flips, params.evaluate.overlap, threshold)
        merged, chosen = load_merged(), read_merged_notes(merged_folder).threshold
        found, seconds = measure_choices(
            lambda flips, overlap: merged.using(Inference(flips, overlap)),
            in_use, merged.window is not None, chosen, dataset.of_split("validation"), card, params.seed, progress,
        )  # fmt: skip
        write_json(folder / "test_time.json", found)
    write_json(paths.timing("evaluate", domain), {"test_time_cpu_seconds": seconds})


def _segmenters(adapter: Path, model: ModelConfig) -> dict[str, Callable[[], PromptFreeSegmenter]]:
    return {
        "base": lambda: PromptFreeSegmenter(load_base(model)),
        "adapted": lambda: load_adapted(adapter, model)[0],
    }


if __name__ == "__main__":
    run_stage(main, stage="evaluate")
