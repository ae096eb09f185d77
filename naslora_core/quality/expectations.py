"""What a dataset has to be: the suite of expectations, each with its severity and its words for the user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from naslora_core.config import QualityConfig
from naslora_core.data.card import DatasetCard
from naslora_core.data.splits import SPLITS
from naslora_core.quality.measure import MISSING, OK, UNREADABLE

Severity = Literal["critical", "warning"]
Kind = Literal["image", "mask"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One expectation of the suite.

    Args:
        name: what it is called in verdicts.
        expectation: class of great_expectations.expectations.
        severity: critical stops the pipeline, warning is reported.
        description: what must hold, as the user reads it.
        arguments: of the expectation.
        file: column that names the file to blame for a failing row.
        explain: what is wrong with a failing row; None if the expectation is about the whole table.
        found: what the table holds instead, for an expectation about the whole of it.
    """

    name: str
    expectation: str
    severity: Severity
    description: str
    arguments: dict[str, Any]
    file: Kind = "image"
    explain: Callable[[Row], str] | None = None
    found: Callable[[pd.DataFrame], str] = lambda table: ""


def build_suite(quality: QualityConfig, card: DatasetCard) -> tuple[Check, ...]:
    """Return every check of a dataset, with the limits of params.yaml and the threshold of its card."""
    return (
        *_whole_table(quality),
        *_files("image", partner="mask"),
        *_files("mask", partner="image"),
        *_sizes(quality),
        *_masks(quality, card),
        *_copies(),
    )


def _whole_table(quality: QualityConfig) -> list[Check]:
    def empty_splits(table: pd.DataFrame) -> str:
        return f"empty: {', '.join(split for split in SPLITS if split not in set(table['split']))}"

    return [
        Check(
            "enough_pairs", "ExpectTableRowCountToBeBetween", "critical",
            f"there are at least {quality.min_pairs} pairs (quality.min_pairs)",
            {"min_value": quality.min_pairs},
            found=lambda table: f"found {len(table)}",
        ),
        Check(
            "split_known", "ExpectColumnValuesToBeInSet", "critical",
            f"every split is one of {', '.join(SPLITS)}",
            {"column": "split", "value_set": list(SPLITS)},
            explain=lambda row: f"its split is '{row['split']}'",
        ),
        Check(
            "split_present", "ExpectColumnDistinctValuesToContainSet", "critical",
            f"each of {', '.join(SPLITS)} has at least one pair; edit splits.csv to give it one",
            {"column": "split", "value_set": list(SPLITS)},
            found=empty_splits,
        ),
        Check(
            "names_unique", "ExpectColumnValuesToBeUnique", "critical", "every name is there once",
            {"column": "name"},
            explain=lambda row: f"the name '{row['name']}' is there more than once",
        ),
    ]  # fmt: skip


def _files(kind: Kind, partner: Kind) -> list[Check]:
    column = f"{kind}_state"
    return [
        # Great Expectations skips empty cells, so a state that was not measured has to fail on its own.
        Check(
            f"{kind}_measured", "ExpectColumnValuesToNotBeNull", "critical", f"every {kind} was measured",
            {"column": column},
            explain=lambda row: "was not measured",
        ),
        Check(
            f"{kind}_present", "ExpectColumnValuesToBeInSet", "critical", f"every {partner} has its {kind}",
            {"column": column, "value_set": [OK, UNREADABLE]},
            file=partner,
            explain=lambda row: f"has no {kind} {kind}s/{row['name']}.*",
        ),
        Check(
            f"{kind}_opens", "ExpectColumnValuesToBeInSet", "critical", f"every {kind} opens",
            {"column": column, "value_set": [OK, MISSING]},
            file=kind,
            explain=lambda row: str(row[f"{kind}_problem"]),
        ),
    ]  # fmt: skip


def _sizes(quality: QualityConfig) -> list[Check]:
    return [
        Check(
            "same_size", "ExpectColumnPairValuesToBeEqual", "critical",
            "every mask has the size of its image",
            {"column_A": "image_size", "column_B": "mask_size", "ignore_row_if": "either_value_is_missing"},
            file="mask",
            explain=lambda row: f"is {row['mask_size']} pixels, {row['image']} is {row['image_size']}",
        ),
        Check(
            "large_enough", "ExpectColumnValuesToBeBetween", "critical",
            f"every image is at least {quality.min_side_px} pixels wide and high (quality.min_side_px)",
            {"column": "shorter_side_px", "min_value": quality.min_side_px},
            explain=lambda row: f"is {row['image_size']} pixels",
        ),
    ]  # fmt: skip


def _masks(quality: QualityConfig, card: DatasetCard) -> list[Check]:
    low, high = quality.min_foreground_share, quality.max_foreground_share
    return [
        Check(
            "something_marked", "ExpectColumnMaxToBeBetween", "critical",
            f"some mask has a pixel of {card.mask_threshold} or more (mask_threshold in dataset.yaml)",
            {"column": "foreground_share", "min_value": 0.0, "strict_min": True},
            found=_why_nothing_is_marked,
        ),
        Check(
            "object_size", "ExpectColumnValuesToBeBetween", "warning",
            f"what a mask marks is {low:.4g} to {high:.4g} of the image (quality.min_foreground_share, "
            "quality.max_foreground_share)",
            {"column": "object_share", "min_value": low, "max_value": high},
            file="mask",
            explain=lambda row: f"marks {row['object_share']:.3g} of the image",
        ),
        Check(
            "few_empty_masks", "ExpectColumnMeanToBeBetween", "warning",
            f"at most {quality.max_empty_mask_share:.0%} of the masks are empty "
            "(quality.max_empty_mask_share)",
            {"column": "is_empty", "max_value": quality.max_empty_mask_share},
            found=lambda table: f"found {table['is_empty'].mean():.0%}",
        ),
        Check(
            "two_values", "ExpectColumnValuesToBeInSet", "warning",
            "a mask has two values, such as 0 and 255; JPEG and soft borders add others, which are cut at "
            f"{card.mask_threshold} (mask_threshold in dataset.yaml)",
            {"column": "grey_share", "value_set": [0.0]},
            file="mask",
            explain=lambda row: f"has {row['mask_values']:.0f} values, {row['grey_share']:.1%} in between",
        ),
    ]  # fmt: skip


def _why_nothing_is_marked(table: pd.DataFrame) -> str:
    if table["foreground_share"].isna().all():
        return "no mask could be read"
    return "every mask is empty; masks stored as 0 and 1 need mask_threshold: 1"


def _copies() -> list[Check]:
    return [
        Check(
            "no_leak", "ExpectColumnValuesToBeInSet", "warning",
            "no image is in two splits, which would flatter the test score",
            {"column": "copy_in_other_split", "value_set": [""]},
            explain=lambda row: f"in {row['split']}, is the same file as {row['copy_in_other_split']}",
        ),
        Check(
            "no_copies", "ExpectColumnValuesToBeInSet", "warning", "no image is there twice",
            {"column": "copy_of", "value_set": [""]},
            explain=lambda row: f"is the same file as {row['copy_of']}",
        ),
    ]  # fmt: skip
