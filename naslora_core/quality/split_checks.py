"""Checks of what training sees: the classes of each split, and what is left of them at the model's input size.

They add columns to the table, the same for all pairs of a split, or for all:

- training_lacks, evaluation_lacks: classes that another split has and this one, for training or not, has not;
  split_loses: classes of this split without a pixel left at the model's input size;
- vanished_share: of the objects of the class that loses most of them;
- full_masks: "some" or "all" if masks, all that mark anything, cover their whole image; "" if none does.
"""

from collections.abc import Sequence

import pandas as pd

from naslora_core.config import QualityConfig
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.empty_splits import explain_empty
from naslora_core.data.dataset.splits import SPLITS, TRAIN
from naslora_core.errors import few
from naslora_core.quality.checks import Check
from naslora_core.quality.measure_file import objects_column, presence_column, vanished_column

_NAMED = 5


def add_split_columns(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the table with the columns that this file explains."""
    lacks: dict[str, str] = {}
    loses: dict[str, str] = {}
    has = [name for name in classes if table[presence_column(name)].sum() > 0]
    for split, part in table[table["mask_look"].notna()].groupby("split"):
        lacks[split] = ", ".join(name for name in has if part[presence_column(name)].sum() == 0)
        loses[split] = ", ".join(name for name in has if _all_vanish(part, name))
    lacking = table["split"].map(lambda split: lacks.get(split, ""))
    full, marking = int(table["covers_image"].sum()), int((table["is_empty"] == 0).sum())
    return table.assign(
        training_lacks=lacking.where(table["split"] == TRAIN, ""),
        evaluation_lacks=lacking.where(table["split"] != TRAIN, ""),
        split_loses=table["split"].map(lambda split: loses.get(split, "")),
        vanished_share=max((_vanished_share(table, name) for name in classes), default=0.0),
        full_masks="" if not full else "all" if full == marking else "some",
    )


def split_checks(quality: QualityConfig, card: DatasetCard, input_px: int | None) -> list[Check]:
    """Return the checks; those of what vanishes only if the model's input size is known.

    Args:
        quality: the limits.
        card: names the classes.
        input_px: side of the model's input, in pixels.
    """
    checks = [
        Check(
            "classes_trained", "ExpectColumnValuesToBeInSet", "critical",
            "training has every class that another split has",
            {"column": "training_lacks", "value_set": [""]},
            found=lambda table: _by_split(table, "training_lacks", "lacks"),
        ),
        Check(
            "classes_tested", "ExpectColumnValuesToBeInSet", "warning",
            "validation and test have every class that another split has; without it, its score means nothing",
            {"column": "evaluation_lacks", "value_set": [""]},
            found=lambda table: _by_split(table, "evaluation_lacks", "lacks"),
        ),
        Check(
            "masks_mark_parts", "ExpectColumnValuesToBeInSet", "critical",
            "some mask marks a part of its image only; if all cover it, the mask may lie elsewhere in the file, as in "
            "its alpha channel or in another value",
            {"column": "full_masks", "value_set": ["", "some"]},
            found=_covering,
        ),
        Check(
            "no_full_masks", "ExpectColumnValuesToBeInSet", "warning",
            "no mask covers its whole image with one class",
            {"column": "full_masks", "value_set": ["", "all"]},
            found=_covering,
        ),
    ]  # fmt: skip
    if input_px is None:
        return checks
    size = f"the model's input size of {input_px} pixels (model.image_size)"
    return [
        *checks,
        Check(
            "classes_kept", "ExpectColumnValuesToBeInSet", "critical",
            f"no class vanishes from a split at {size}",
            {"column": "split_loses", "value_set": [""]},
            found=lambda table: _by_split(table, "split_loses", "loses all objects of"),
        ),
        Check(
            "objects_kept", "ExpectColumnMaxToBeBetween", "warning",
            f"at most {quality.max_vanished_share:.0%} of a class's objects vanish at {size} "
            "(quality.max_vanished_share); a larger input size keeps them, or images cut into pieces",
            {"column": "vanished_share", "max_value": quality.max_vanished_share},
            found=lambda table: _vanished(table, card.classes, quality.max_vanished_share),
        ),
    ]  # fmt: skip


def why_empty(table: pd.DataFrame) -> str:
    """Return which splits have no pair, and why."""
    names = table["name"].to_list()
    return explain_empty(dict(zip(names, table["split"], strict=True)), dict(zip(names, table["group"], strict=True)))


def _all_vanish(part: pd.DataFrame, name: str) -> bool:
    gone = part[vanished_column(name)]
    return bool(gone.notna().any() and gone.sum() == part[objects_column(name)].sum() > 0)


def _vanished_share(table: pd.DataFrame, name: str) -> float:
    objects = table.loc[table[vanished_column(name)].notna(), objects_column(name)].sum()
    return float(table[vanished_column(name)].sum() / objects) if objects else 0.0


def _by_split(table: pd.DataFrame, column: str, verb: str) -> str:
    found = table[table[column] != ""].groupby("split")[column].first()
    return "; ".join(f"{split} {verb} {few(found[split].split(', '), _NAMED)}" for split in SPLITS if split in found)


def _covering(table: pd.DataFrame) -> str:
    full = table[table["covers_image"] == 1]
    measured = int(table["covers_image"].notna().sum())
    return f"{len(full)} of {measured} masks do ({len(full) / measured:.0%}): {few(full['mask'], _NAMED)}"


def _vanished(table: pd.DataFrame, classes: Sequence[str], most: float) -> str:
    found = []
    for name in classes:
        if (share := _vanished_share(table, name)) > most:
            gone = table[vanished_column(name)].fillna(0)
            objects, files = int(table[objects_column(name)].sum()), table.loc[gone > 0, "mask"].to_list()
            found.append(f"{int(gone.sum())} of {objects} objects of '{name}' ({share:.0%}), in {few(files, _NAMED)}")
    return "; ".join(found[:_NAMED]) + ("; …" if len(found) > _NAMED else "")
