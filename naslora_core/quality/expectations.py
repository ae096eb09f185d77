"""The suite of checks for a dataset, made from params.yaml and the card of the dataset."""

import pandas as pd

from naslora_core.config import QualityConfig
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.splits import SPLITS
from naslora_core.quality.checks import Check, none_in
from naslora_core.quality.file_checks import file_checks
from naslora_core.quality.measure_file import presence_column
from naslora_core.quality.split_checks import split_checks, why_empty


def build_suite(quality: QualityConfig, card: DatasetCard, input_px: int | None = None) -> tuple[Check, ...]:
    """Build all checks of a dataset, from the limits of params.yaml and the mask encoding of its card.

    Args:
        quality: the limits.
        card: what the masks mean.
        input_px: side of the model's input; None leaves out the checks of what vanishes there.
    """
    return (
        *_whole_table(quality),
        *file_checks(quality, card),
        *_pairs(quality),
        *_classes(quality, card),
        *split_checks(quality, card, input_px),
        *_duplicates(),
    )


def _whole_table(quality: QualityConfig) -> list[Check]:
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
            found=why_empty,
        ),
        Check(
            "names_unique", "ExpectColumnValuesToBeUnique", "critical", "every name is there once",
            {"column": "name"},
            explain=lambda row: f"the name '{row['name']}' is there more than once",
        ),
    ]  # fmt: skip


def _pairs(quality: QualityConfig) -> list[Check]:
    low, high = quality.min_foreground_share, quality.max_foreground_share
    return [
        Check(
            "same_size", "ExpectColumnPairValuesToBeEqual", "critical",
            "every mask has the size of its image",
            {"column_A": "image_size", "column_B": "mask_size", "ignore_row_if": "either_value_is_missing"},
            file="mask",
            explain=lambda row: f"is {row['mask_size']} pixels, {row['image']} is {row['image_size']}",
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
    ]  # fmt: skip


def _classes(quality: QualityConfig, card: DatasetCard) -> list[Check]:
    marked = {
        "grey": f"some mask has a pixel of {card.mask_threshold} or more (mask_threshold in dataset.yaml)",
        "alpha": "some mask has an opaque pixel (mask_reading: alpha in dataset.yaml)",
        "instances": "some mask has a pixel above 0 (mask_reading: instances in dataset.yaml)",
    }.get(card.reading, "some mask has a pixel of a class (mask_values in dataset.yaml)")
    checks = [
        Check(
            "something_marked", "ExpectColumnMaxToBeBetween", "critical", marked,
            {"column": "foreground_share", "min_value": 0.0, "strict_min": True},
            found=_why_nothing_is_marked,
        )
    ]  # fmt: skip
    several = card.classes if len(card.classes) > 1 else ()
    return checks + [_enough_of(name, quality) for name in several]


def _enough_of(name: str, quality: QualityConfig) -> Check:
    column = presence_column(name)
    return Check(
        f"enough_{name}", "ExpectColumnSumToBeBetween", "warning",
        f"class '{name}' is in at least {quality.min_class_images} images (quality.min_class_images)",
        {"column": column, "min_value": quality.min_class_images},
        found=lambda table: f"found in {table[column].sum():.0f}",
    )  # fmt: skip


def _why_nothing_is_marked(table: pd.DataFrame) -> str:
    if table["foreground_share"].isna().all():
        return "no mask could be read"
    return "every mask is empty; masks stored as 0 and 1 need mask_threshold: 1, or mask_values"


def _duplicates() -> list[Check]:
    return [
        none_in(
            "copy_in_other_split", "no_leak", "critical",
            "no image is in two splits, which would flatter the test score; give both the same split in splits.csv, "
            "set one aside, or, where a published split has to stay, list them as accepted_copies in dataset.yaml",
            lambda row: f"in {row['split']}, is the same image as {row['copy_in_other_split']}, or nearly",
        ),
        none_in(
            "group_in_other_split", "groups_together", "critical",
            "no group of images, such as a patient's, is in two splits",
            lambda row: f"in {row['split']}, has the group '{row['group']}' of {row['group_in_other_split']}",
        ),
        none_in(
            "accepted_copy", "no_accepted_leak", "warning",
            "no image is in two splits; these are accepted in dataset.yaml",
            lambda row: f"in {row['split']}, is the same image as {row['accepted_copy']}, or nearly",
        ),
        none_in(
            "copy_in_same_split", "no_copies", "warning", "no image is there twice in a split",
            lambda row: f"is the same image as {row['copy_in_same_split']}, or nearly",
        ),
    ]  # fmt: skip
