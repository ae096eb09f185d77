"""Read the inputs of the report: the files that the stages wrote for one domain."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from naslora_core.adapted.searched_layers import FoundArchitecture, Layer, read_found, read_genotype, read_layers
from naslora_core.errors import DataError
from naslora_core.quality.verdict import Verdict
from naslora_core.report.headline import HeadlineRow, domain_rows

_CERTIFICATE_KEYS = (
    "mode", "passed", "images", "max_logit_difference", "relative_logit_difference", "mask_agreement",
    "validation_dice_before", "validation_dice_after", "parameters", "reason",
)  # fmt: skip

_SUMMARY_KEYS = ("dataset", "models", "gain", "metrics", "breakdowns", "set_metrics", "set_metric_titles")
_TRAINING_KEYS = ("best_epoch", "trainable_parameters", "adapter_parameters", "total_parameters")


_SWEEP_COLUMNS = ("model", "threshold", "dice", "precision", "recall")
_VIEW_KEYS = ("view", "needs_detail", "reason")
_SCALE_KEYS = ("input_px", "cell_px", "classes", "examples")
_TEST_TIME_KEYS = ("images", "middle_px", "options")
_CALIBRATION_COLUMNS = ("model", "pixels", "mean_probability", "foreground_share")


@dataclass(frozen=True)
class Folders:
    """The output folders of the stages for one domain.

    Args:
        times: files with how long things took; those that are missing are left out of the page.
    """

    validate: Path
    search_train: Path
    merge: Path
    evaluate: Path
    times: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Results:
    """All results of one domain that the report shows.

    Args:
        folder: of the evaluate stage; paths in `gallery` and `heat` are relative to it.
        scale_folder: of the pictures that `scale` names.
        data_docs: the page of Great Expectations on this data; None where the gate wrote none.
        alphas: the architecture weights by epoch; empty for methods without a search.
        rank_shares: the shares of ranks by epoch, in the same columns; empty unless ranks were searched.
        layers: the found architecture; empty for methods without a search.
        found: it, where every layer has one operation, by a search under a budget or as given; None for mixtures.
        space: the primitives that were searched.
        test_time: what other choices at test time would gain; `test_time_seconds` are those of CPU that an image takes
            with each, empty where that is not known.
        train_seconds: how long training took; None where that is not known.
        seconds_per_image: the median of each model; empty where that is not known.
    """

    domain: str
    folder: Path
    scale_folder: Path
    data_docs: Path | None
    headline: list[HeadlineRow]
    summary: dict[str, Any]
    per_image: pd.DataFrame
    thresholds: pd.DataFrame
    calibration: pd.DataFrame
    test_time: dict[str, Any]
    gallery: list[dict[str, Any]]
    heat: list[dict[str, Any]]
    verdict: Verdict
    view: dict[str, Any]
    scale: dict[str, Any]
    history: pd.DataFrame
    alphas: pd.DataFrame
    rank_shares: pd.DataFrame
    layers: list[Layer]
    found: FoundArchitecture | None
    space: list[str]
    training: dict[str, Any]
    adapter: dict[str, Any]
    certificate: dict[str, Any]
    model: dict[str, Any]
    train_seconds: float | None
    seconds_per_image: dict[str, float]
    test_time_seconds: dict[str, float]


def read_results(domain: str, folders: Folders) -> Results:
    """Read one domain's results.

    Raises:
        DataError: if a file is missing, damaged or lacks what the report needs; the message names it.
    """
    genotype = read_genotype(folders.search_train / "genotype.json")
    layers, found = read_layers(genotype), read_found(genotype)
    alphas = _read_alphas(folders.search_train / "alphas.csv", may_be_empty=found is not None) if layers else None
    times = {key: value for path in folders.times if path.is_file() for key, value in _read_json(path, ()).items()}
    docs = folders.validate / "data_docs" / "index.html"
    return Results(
        domain=domain,
        folder=folders.evaluate,
        scale_folder=folders.validate / "scale",
        data_docs=docs if docs.is_file() else None,
        headline=domain_rows(folders.evaluate, domain),
        summary=_read_json(folders.evaluate / "summary.json", _SUMMARY_KEYS),
        per_image=_read_table(folders.evaluate / "per_image.csv", ("name", "model", "dice")),
        thresholds=_read_table(folders.evaluate / "thresholds.csv", _SWEEP_COLUMNS),
        calibration=_read_table(folders.evaluate / "calibration.csv", _CALIBRATION_COLUMNS),
        test_time=_read_json(folders.evaluate / "test_time.json", _TEST_TIME_KEYS),
        gallery=_read_json(folders.evaluate / "gallery.json", ()),
        heat=_read_json(folders.evaluate / "heat.json", ()),
        verdict=_read_verdict(folders.validate / "verdict.json"),
        view=_read_json(folders.validate / "view.json", _VIEW_KEYS),
        scale=_read_json(folders.validate / "scale" / "widths.json", _SCALE_KEYS),
        history=_read_table(folders.search_train / "history.csv", ("epoch", "train_loss", "validation_dice")),
        alphas=pd.DataFrame() if alphas is None else alphas[~_is_rank(alphas)],
        rank_shares=pd.DataFrame() if alphas is None else alphas[_is_rank(alphas)],
        layers=layers,
        found=found,
        space=list(genotype["space"]),
        training=_read_json(folders.search_train / "metrics.json", _TRAINING_KEYS),
        adapter=_read_json(folders.search_train / "adapter.json", ("method", "base")),
        certificate=_read_json(folders.merge / "certificate.json", _CERTIFICATE_KEYS),
        model=_read_json(folders.merge / "model.json", ("origin",)),
        train_seconds=times.get("train_seconds"),
        seconds_per_image=times.get("seconds_per_image", {}),
        test_time_seconds=times.get("test_time_cpu_seconds", {}),
    )


def _read_json(path: Path, keys: tuple[str, ...]) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} not found; a stage before the report writes it: start naslora run") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}); run its stage again") from error
    if missing := [key for key in keys if key not in content]:
        raise DataError(f"{path} lacks {', '.join(missing)}; expected {', '.join(keys)}. Run its stage again")
    return content


def _read_alphas(path: Path, may_be_empty: bool) -> pd.DataFrame:
    """Return the rows of alphas.csv; an architecture that was drawn or given has none."""
    return _read_table(path, ("epoch", "layer", "primitive", "weight"), may_be_empty)


def _is_rank(alphas: pd.DataFrame) -> pd.Series:
    return alphas["primitive"].astype(str).str.startswith("rank ")


def _read_table(path: Path, columns: tuple[str, ...], may_be_empty: bool = False) -> pd.DataFrame:
    try:
        # Names such as "001" must stay text, and an image called "NA" is not missing.
        table = pd.read_csv(path, dtype={"name": str}, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise DataError(f"{path} not found; a stage before the report writes it: start naslora run") from error
    except ValueError as error:
        raise DataError(f"{path} is not a table ({error}); run its stage again") from error
    if missing := [column for column in columns if column not in table]:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}; run its stage again")
    if table.empty and not may_be_empty:
        raise DataError(f"{path} holds no rows; run its stage again")
    return table


def _read_verdict(path: Path) -> Verdict:
    content = _read_json(path, ())
    try:
        return Verdict.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path} is not a verdict of the data gate ({error}); run its stage again") from error
