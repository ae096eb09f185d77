"""Stage evaluate: score base, adapted and merged model on the test images at their native size."""

from functools import partial

import pandas as pd

from naslora_core.config import Params
from naslora_core.data.dataset import read_dataset
from naslora_core.evaluation.evaluate import evaluate_models
from naslora_core.evaluation.gallery import write_gallery
from naslora_core.evaluation.summary import DECIMALS, means, summarise, summarise_classes
from naslora_core.files import atomic_directory, write_json
from naslora_core.predict import Predictor
from naslora_core.progress import Progress
from stages.paths import StagePaths
from stages.runner import run_stage


def main(domain: str, params: Params, paths: StagePaths, progress: Progress) -> None:
    """Write metrics.json (means), summary.json (intervals), per_image.csv, gallery.json and gallery/*.png."""
    dataset = read_dataset(paths.data(domain))
    pairs, card = dataset.of_split("test"), dataset.card
    loaders = {
        "base": partial(Predictor.base, params.model),
        "adapted": partial(Predictor.adapted, paths.source("search_train", domain), params.model),
        "merged": partial(Predictor.merged, paths.source("merge", domain), params.model.precision),
    }
    evaluations = evaluate_models(loaders, pairs, card, params.evaluate.threshold, progress)
    tables = {model: evaluation.table for model, evaluation in evaluations.items()}
    per_image = pd.concat([table.assign(model=model) for model, table in tables.items()])
    columns = ["name", "model", *(column for column in per_image if column not in ("name", "model"))]
    about = card.model_dump(include={"title", "licence", "citation", "source"})
    with atomic_directory(paths.output("evaluate", domain)) as folder:
        per_image[columns].to_csv(
            folder / "per_image.csv", index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n"
        )
        write_json(folder / "metrics.json", means(tables))
        by_class = summarise_classes(tables, card.classes)
        write_json(folder / "summary.json", {"dataset": about} | summarise(tables, params.seed) | by_class)
        write_gallery(folder, pairs, card, evaluations, params.evaluate.gallery_size)


if __name__ == "__main__":
    run_stage(main)
