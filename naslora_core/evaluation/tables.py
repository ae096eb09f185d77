"""Write the tables of an evaluation as Parquet and CSV."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from naslora_core.evaluation.evaluate import Evaluation
from naslora_core.evaluation.summary import DECIMALS


def write_tables(folder: Path, evaluations: Mapping[str, Evaluation], traits: pd.DataFrame) -> None:
    """Write per_image.parquet and .csv, thresholds.csv and calibration.csv, each with a column "model".

    Args:
        folder: gets the files.
        evaluations: by model name.
        traits: of the evaluated images, as `describe_images` gives them; columns of the table per image.
    """
    per_image = _by_model(evaluations, lambda one: one.table.merge(traits, on="name", validate="1:1"))
    per_image.insert(0, "name", per_image.pop("name"))
    per_image.to_parquet(folder / "per_image.parquet", index=False)
    _write_csv(folder / "per_image.csv", per_image)
    _write_csv(folder / "thresholds.csv", _by_model(evaluations, lambda one: one.whole.thresholds.table()))
    _write_csv(folder / "calibration.csv", _by_model(evaluations, lambda one: one.whole.calibration.table()))


def _by_model(evaluations: Mapping[str, Evaluation], table_of: Callable[[Evaluation], pd.DataFrame]) -> pd.DataFrame:
    tables = {model: table_of(evaluation) for model, evaluation in evaluations.items()}
    return pd.concat(tables, names=["model"]).reset_index("model").reset_index(drop=True)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
