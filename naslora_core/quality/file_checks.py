"""Checks of single files: present, readable, and fit to train on."""

from naslora_core.config import QualityConfig
from naslora_core.data.dataset.card import DatasetCard
from naslora_core.quality.checks import Check, none_in
from naslora_core.quality.measure_file import MISSING, OK, UNREADABLE, Kind


def file_checks(quality: QualityConfig, card: DatasetCard) -> list[Check]:
    """Return the checks of single files, images before masks."""
    return [*_opens("image", "mask"), *_opens("mask", "image"), *_images(quality), *_encoding(card)]


def _opens(kind: Kind, partner: Kind) -> list[Check]:
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
        none_in(
            f"{kind}_link", f"{kind}_inside", "warning",
            f"no {kind} is a link out of the dataset, where no version is kept of it",
            lambda row: f"is a link to {row[f'{kind}_link']}",
            kind,
        ),
        Check(
            f"{kind}_upright", "ExpectColumnValuesToBeInSet", "warning",
            f"no {kind} has to be turned as EXIF says; other programs may show it lying",
            {"column": f"{kind}_orientation", "value_set": [1]},
            file=kind,
            explain=lambda row: f"has the EXIF orientation {row[f'{kind}_orientation']}",
        ),
    ]  # fmt: skip


def _images(quality: QualityConfig) -> list[Check]:
    return [
        Check(
            "large_enough", "ExpectColumnValuesToBeBetween", "critical",
            f"every image is at least {quality.min_side_px} pixels wide and high (quality.min_side_px)",
            {"column": "shorter_side_px", "min_value": quality.min_side_px},
            explain=lambda row: f"is {row['image_size']} pixels",
        ),
        none_in(
            "constant", "image_varies", "critical", "no image is of one colour",
            lambda row: f"has one colour, of brightness {row['brightness']:.0f}",
        ),
        Check(
            "sharp", "ExpectColumnValuesToBeBetween", "warning",
            f"every image has a sharpness of at least {quality.min_sharpness:g} (quality.min_sharpness)",
            {"column": "sharpness", "min_value": quality.min_sharpness},
            explain=lambda row: f"is blurred: sharpness {row['sharpness']:.3g}",
        ),
        _exposed("dark", "black", quality),
        _exposed("bright", "white", quality),
    ]  # fmt: skip


def _exposed(side: str, colour: str, quality: QualityConfig) -> Check:
    column = f"clipped_{side}"
    return Check(
        f"exposed_{side}", "ExpectColumnValuesToBeBetween", "warning",
        f"at most {quality.max_clipped_share:.0%} of an image are nearly {colour} (quality.max_clipped_share)",
        {"column": column, "max_value": quality.max_clipped_share},
        explain=lambda row: f"is {row[column]:.0%} {colour}",
    )  # fmt: skip


def _encoding(card: DatasetCard) -> list[Check]:
    checks = [
        none_in(
            "mask_is_photograph", "mask_is_no_photograph", "critical", "no mask is a photograph",
            lambda row: f"has the colours of a photograph; are {row['image']} and its mask exchanged?",
            "mask",
        ),
    ]  # fmt: skip
    if card.mask_ignore:
        checks.append(none_in(
            "nothing_labelled", "something_labelled", "critical",
            "some pixel of every mask is labelled; none has the values of mask_ignore (dataset.yaml) alone",
            lambda row: "has values of mask_ignore only, so it says nothing",
            "mask",
        ))  # fmt: skip
    if card.reading == "alpha":
        return checks
    if card.reading == "grey":
        checks.append(Check(
            "two_values", "ExpectColumnValuesToBeInSet", "warning",
            "a mask has two values, such as 0 and 255; JPEG and soft borders add others, which are cut at "
            f"{card.mask_threshold} (mask_threshold in dataset.yaml)",
            {"column": "grey_share", "value_set": [0.0]},
            file="mask",
            explain=lambda row: f"has {row['mask_values']:.0f} values, {row['grey_share']:.1%} in between",
        ))  # fmt: skip
        return checks
    if card.reading != "instances":
        checks.append(none_in(
            "unknown_values", "values_known", "critical",
            "every value of a mask means a class or the background (mask_values in dataset.yaml), or no label",
            lambda row: f"has {row['unknown_values']}, which no class has",
            "mask",
        ))  # fmt: skip
    if card.reading in ("values", "instances"):
        checks.append(Check(
            "one_channel", "ExpectColumnValuesToBeInSet", "critical",
            f"masks whose numbers count (mask_reading: {card.reading} in dataset.yaml) have one channel",
            {"column": "mask_channels", "value_set": [1]},
            file="mask",
            explain=lambda row: f"has {row['mask_channels']} channels (mode {row['mask_mode']})",
        ))  # fmt: skip
    return checks
