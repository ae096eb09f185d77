"""Intervals for scores that vary with the image and with the seed of the training."""

import numpy as np
import pandas as pd

from naslora_core.evaluation.bootstrap import CONFIDENCE, RESAMPLES


def crossed_interval(scores: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean, by drawing seeds and images with replacement.

    Every training has seen the same images, so both are drawn by themselves and every drawn training is scored on
    every drawn image. With a single seed the interval is one over images alone.

    Args:
        scores: (seeds, images).
        seed: of the random draws; the same one draws the same.

    Returns:
        Lower and upper end of the 95 % interval.
    """
    generator = np.random.default_rng(seed)
    trainings, images = scores.shape
    rows = generator.multinomial(trainings, [1 / trainings] * trainings, size=RESAMPLES) / trainings
    columns = generator.multinomial(images, [1 / images] * images, size=RESAMPLES) / images
    means = np.einsum("rs,si,ri->r", rows, scores, columns, optimize=True)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def score_matrix(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the scores of one row on one domain, (seeds, images), both sorted; what is not in all seeds is left out.

    Args:
        results: columns seed, name and `metric`; several lines of one image, such as its classes, are averaged.
    """
    return results.pivot_table(index="seed", columns="name", values=metric, aggfunc="mean").dropna(axis="columns")


def describe(scores: pd.DataFrame, seed: int) -> dict[str, float | int]:
    """Return mean, interval and number of seeds of scores (seeds, images)."""
    values = scores.to_numpy(dtype=np.float64)
    low, high = crossed_interval(values, seed)
    return {"mean": float(values.mean()), "low": low, "high": high, "seeds": len(values), "images": values.shape[1]}


def paired_difference(scores: pd.DataFrame, reference: pd.DataFrame, seed: int) -> dict[str, float | int] | None:
    """Return by how much scores exceed those of a reference, image by image; None without a common seed."""
    seeds = scores.index.intersection(reference.index)
    images = scores.columns.intersection(reference.columns)
    if seeds.empty or images.empty:
        return None
    return describe(scores.loc[seeds, images] - reference.loc[seeds, images], seed)
