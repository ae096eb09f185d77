"""Summarise scores: means over images with bootstrap intervals, of each model and of its gain over the base."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from naslora_core.evaluation.bootstrap import CONFIDENCE, RESAMPLES, bootstrap_intervals
from naslora_core.evaluation.metrics import METRICS, Metric
from naslora_core.evaluation.scores import BY_CLASS, column_of
from naslora_core.evaluation.set_metrics import SET_METRICS

DECIMALS = 6
_AVERAGED = "Every score is the mean over the classes that an image's truth or prediction contains, then over images."


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
        "metrics": {name: _describe(METRICS[name]) for name in METRICS},
        "models": {model: intervals(table, seed) for model, table in tables.items()},
        "gain": {model: intervals(tables[model][names] - tables[baseline][names], seed) for model in others},
    }


def summarise_set(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Summarise the metrics of the whole set.

    Args:
        scores: by model and set metric.

    Returns:
        JSON-able: "set_metrics", the scores rounded, and "set_metric_titles", what each is.
    """
    rounded = {model: {name: round(value, DECIMALS) for name, value in own.items()} for model, own in scores.items()}
    return {"set_metrics": rounded, "set_metric_titles": {name: _describe(SET_METRICS[name]) for name in SET_METRICS}}


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
    """Return the means alone, by model and metric, as `dvc metrics show` prints them."""
    return {
        model: {name: round(float(table[name].mean()), DECIMALS) for name in METRICS} for model, table in tables.items()
    }


def _mean(scores: pd.Series) -> float | None:
    return None if scores.isna().all() else round(float(scores.mean()), DECIMALS)


def intervals(table: pd.DataFrame, seed: int) -> dict[str, dict[str, float]]:
    """Return by metric mean, low and high of a table with one row per image and one column per metric."""
    values = table[list(METRICS)].to_numpy(dtype=np.float64).T
    bounds = bootstrap_intervals(values, seed)
    rows = np.column_stack([values.mean(axis=1), bounds]).round(DECIMALS).tolist()
    return {name: dict(zip(("mean", "low", "high"), row, strict=True)) for name, row in zip(METRICS, rows, strict=True)}


def _describe(metric: Metric[Any]) -> dict[str, Any]:
    return {
        "title": metric.title,
        "higher_is_better": metric.higher_is_better,
        "definition": metric.definition,
    }
