"""Scores by size and by contrast of the object."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from naslora_core.evaluation.summary import DECIMALS, intervals
from naslora_core.evaluation.traits import NO_LEVEL, TRAITS


def breakdowns(tables: Mapping[str, pd.DataFrame], traits: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Summarise the scores of the images of each level of each trait.

    Args:
        tables: by model name; column "name" and one per metric.
        traits: of the same images, as `describe_images` gives them.
        seed: of the bootstrap.

    Returns:
        JSON-able, by trait and level: "images", how many; "from" and "to", the least and the largest value there, None
        where there is none; "models", by model and metric mean, low and high. Levels without images are absent.
    """
    return {
        level: {
            name: _of_images(tables, traits[traits[level] == name], trait.column, seed)
            for name in (*trait.levels, NO_LEVEL)
            if (traits[level] == name).any()
        }
        for level, trait in TRAITS.items()
    }


def _of_images(tables: Mapping[str, pd.DataFrame], images: pd.DataFrame, column: str, seed: int) -> dict[str, Any]:
    values = images[column]
    return {
        "images": len(images),
        "from": _rounded(values.min()),
        "to": _rounded(values.max()),
        "models": {
            model: intervals(table[table["name"].isin(images["name"])], seed) for model, table in tables.items()
        },
    }


def _rounded(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), DECIMALS)
