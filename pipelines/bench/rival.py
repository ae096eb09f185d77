"""Train and evaluate the rival of a bench table, a U-Net from scratch, in the time of another training."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from naslora_core.bench.unet.train import TrainedUNet, UNetSettings, train_best_rate
from naslora_core.config import Params
from naslora_core.data.dataset.dataset import read_dataset
from naslora_core.errors import PipelineError
from naslora_core.evaluation.evaluate import evaluate_model
from naslora_core.evaluation.tables import write_tables
from naslora_core.evaluation.traits import describe_images
from naslora_core.files import atomic_directory, write_json
from naslora_core.merge.merged import DEFAULT_THRESHOLD
from naslora_core.progress import Progress
from naslora_core.reading import read_object
from naslora_core.sam.precision import best_device
from stages.paths import StagePaths


def recipe(rates: Sequence[float]) -> dict[str, Any]:
    """Return all that decides a rival beside its seed, its data and its time."""
    return {"rival": "unet", "rates": list(rates)} | asdict(UNetSettings(seconds=0))


def run_rival(
    domain: str, params: Params, paths: StagePaths, opponent: StagePaths, rates: Sequence[float], progress: Progress
) -> None:
    """Write the files of a training that the table reads: metrics.json, the curve, times, and scores of every image.

    The scores are there as those of an adapted and of a merged model, so that both columns can be compared.

    Args:
        domain: to train on.
        params: of the opponent; seed, precision, threshold and flips are taken from it.
        paths: of the rival's own trial.
        opponent: the trial whose training time it gets.
        rates: learning rates, of which the best by validation is taken; each gets that time.
        progress: reports the seconds.

    Raises:
        PipelineError: if nobody has kept how long the opponent trained.
        NasLoraError: if MONAI is missing, or an image cannot be read.
    """
    dataset = read_dataset(paths.data(domain))
    training, validation, test = (dataset.of_split(split) for split in ("train", "validation", "test"))
    settings = UNetSettings(_seconds(opponent, domain), seed=params.seed, precision=params.model.precision)
    tried = [replace(settings, lr=rate) for rate in rates]
    best = train_best_rate(training, validation, dataset.card, tried, progress)
    chosen = params.evaluate.threshold
    # Nobody chose one for a U-Net.
    threshold = DEFAULT_THRESHOLD if chosen == "auto" else chosen
    predict = best.predict.using(params.evaluate.flips)
    scored = evaluate_model(predict, test, dataset.card, threshold, progress, "U-Net")
    with atomic_directory(paths.output("search_train", domain)) as folder:
        write_json(folder / "metrics.json", _facts(best))
        pd.DataFrame(best.checks, columns=["seconds", "validation_dice"]).to_csv(folder / "checks.csv", index=False)
    with atomic_directory(paths.output("evaluate", domain)) as folder:
        write_tables(folder, {"adapted": scored, "merged": scored}, describe_images(test, dataset.card))
    times = {"train_seconds": round(best.wall_seconds, 1)}
    if best_device().type != "cuda":
        times["train_cpu_seconds"] = round(best.seconds, 1)
    write_json(paths.timing("search_train", domain), times)


def _seconds(opponent: StagePaths, domain: str) -> float:
    """Return the seconds of training that an opponent took: of the processor, on an accelerator of the wall."""
    path = opponent.timing("search_train", domain)
    times = read_object(path) if path.is_file() else {}
    key = "train_seconds" if best_device().type == "cuda" else "train_cpu_seconds"
    if not isinstance(seconds := times.get(key), int | float):
        raise PipelineError(
            f"{path} does not say how long the row trained that a U-Net gets the time of ({key}); delete "
            f"{opponent.output('timing').parent} to train it again"
        )
    return float(seconds)


def _facts(best: TrainedUNet) -> dict[str, Any]:
    return {
        "validation_dice": best.validation_dice,
        "trainable_parameters": best.parameters,
        "learning_rate": best.settings.lr,
        "steps": best.steps,
    }
