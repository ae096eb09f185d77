"""Means over images with bootstrap intervals, of each model and of its gain over the base."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from naslora_core.evaluation.metrics import METRICS
from naslora_core.evaluation.scores import BY_CLASS, column_of

CONFIDENCE = 0.95
RESAMPLES = 10_000
DECIMALS = 6
_BLOCK = 500
_AVERAGED = "Every score is the mean over the classes that an image's truth or prediction contains, then over images."


def bootstrap_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean, by drawing images with replacement.

    The same seed draws the same images, so intervals of models scored on the same images are comparable.

    Args:
        values: (N,), one per image; a single image gives an interval of no width.
        seed: of the random draws.

    Returns:
        Lower and upper end of the 95 % interval.
    """
    generator = np.random.default_rng(seed)
    resampled = np.empty(RESAMPLES)
    # In blocks: all draws at once would take gigabytes for ten thousand images.
    for start in range(0, RESAMPLES, _BLOCK):
        draws = generator.integers(0, len(values), size=(_BLOCK, len(values)))
        resampled[start : start + _BLOCK] = values[draws].mean(axis=1)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)


def summarise(tables: Mapping[str, pd.DataFrame], seed: int) -> dict[str, Any]:
    """Summarise the scores per image of several models.

    Args:
        tables: by model name, the first being the one others are compared with; column "name" and one per
            metric, the same images in the same order in each.
        seed: of the bootstrap.

    Returns:
        JSON-able: how it was made, what the metrics are, intervals of every model, and of the paired
        difference of every other model to the first ("gain"; for an error a negative gain is an improvement).
    """
    baseline, *others = tables
    names = list(METRICS)
    return {
        "images": len(tables[baseline]),
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "seed": seed,
        "metrics": {name: _describe(name) for name in METRICS},
        "models": {model: _intervals(table, seed) for model, table in tables.items()},
        "gain": {model: _intervals(tables[model][names] - tables[baseline][names], seed) for model in others},
    }


def summarise_classes(tables: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> dict[str, Any]:
    """Summarise the scores by class, from the columns that `score` names.

    Returns:
        JSON-able: "averaged", a sentence that says what the other scores are means of, and "mean_by_class": by model,
        metric and class the mean over the images the class counts for, None if there is none. Empty for one class.
    """
    if len(classes) == 1:
        return {}
    return {
        "averaged": _AVERAGED,
        "mean_by_class": {
            model: {name: {title: _mean(table[column_of(name, title)]) for title in classes} for name in BY_CLASS}
            for model, table in tables.items()
        },
    }


def means(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Return only the numbers, by model and metric: what `dvc metrics show` prints."""
    return {
        model: {name: round(float(table[name].mean()), DECIMALS) for name in METRICS} for model, table in tables.items()
    }


def _mean(scores: pd.Series) -> float | None:
    return None if scores.isna().all() else round(float(scores.mean()), DECIMALS)


def _intervals(table: pd.DataFrame, seed: int) -> dict[str, dict[str, float]]:
    return {name: _interval(table[name].to_numpy(dtype=np.float64), seed) for name in METRICS}


def _interval(array: np.ndarray, seed: int) -> dict[str, float]:
    low, high = bootstrap_interval(array, seed)
    return {
        "mean": round(float(array.mean()), DECIMALS),
        "low": round(low, DECIMALS),
        "high": round(high, DECIMALS),
    }


def _describe(name: str) -> dict[str, Any]:
    metric = METRICS[name]
    return {
        "title": metric.title,
        "higher_is_better": metric.higher_is_better,
        "definition": metric.definition,
    }
