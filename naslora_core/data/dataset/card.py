"""The card of a dataset, `dataset.yaml`: its classes, mask encoding, split rule, licence and origin."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML

from naslora_core.config import DomainName, Share
from naslora_core.data.dataset.image_files.reading import ImageReading
from naslora_core.errors import DataError
from naslora_core.files import atomic_file
from naslora_core.reading import parse_yaml

CARD_FILE = "dataset.yaml"
# Python has no time limit for a search. A name has 255 characters at most, so that the worst pattern within these
# limits takes about a second.
LONGEST_PATTERN, MOST_REPETITIONS = 200, 3
_LITERALS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPETITION, _REPEATED_GROUP = re.compile(r"[*+]|\{\d*,?\d*\}"), re.compile(r"\)(?:[*+]|\{\d*,?\d*\})")


class SplitRule(BaseModel):
    """How images are split; shares are fractions of the images and add up to 1.

    `random`: a seeded draw; images that come in later are drawn by a hash of their name.
    `listed`: as published; images that come in later are for training.

    Attributes:
        stratify: "foreground" if every split was given the same mix of small and large objects.
        group_pattern: a regular expression; images whose names have the same bracketed part (or, without
            brackets, the same match) belong together and share a split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["random", "listed"]
    seed: Annotated[int, Field(ge=0)]
    train: Share
    validation: Share
    test: Share
    stratify: Literal["foreground"] | None = None
    group_pattern: str | None = None

    @field_validator("group_pattern")
    @classmethod
    def _pattern_is_sound(cls, pattern: str | None) -> str | None:
        _check_pattern(pattern or "")
        return pattern

    @model_validator(mode="after")
    def _shares_add_up(self) -> "SplitRule":
        if abs((total := self.train + self.validation + self.test) - 1) > 0.001:
            raise ValueError(f"train + validation + test must be 1, found {total:g}")
        return self

    def group_of(self, name: str) -> str:
        """Return the group that `group_pattern` finds in a name; the name itself where it finds none."""
        found = re.search(self.group_pattern, name) if self.group_pattern else None
        return (found[1] if found.re.groups else found[0]) or name if found else name


def _check_pattern(pattern: str) -> None:
    """Raise ValueError for an invalid regular expression, or one that may take exponential time on some names."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern of {len(pattern)} characters is too long; use at most {LONGEST_PATTERN}")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
    bare = _LITERALS.sub("x", pattern)
    if _REPEATED_GROUP.search(bare) or len(_REPETITION.findall(bare)) > MOST_REPETITIONS:
        raise ValueError(
            f"'{pattern}' may take for ever on some names; repeat no group, and use * + and {{}} at most "
            f"{MOST_REPETITIONS} times"
        )


BACKGROUND = "background"
# Ids are bytes: 0 is the background, the last one marks pixels that nobody labelled.
IGNORED_ID = 255
MOST_CLASSES = IGNORED_ID - 1
# That a mask may have for a class, as files of 16 bits do.
LARGEST_VALUE = 65_535
# Line breaks print; letters of some scripts are joined by the two marks that follow.
_INVISIBLE_BUT_FINE = "\n\u200c\u200d"


def _check_text(text: str) -> str:
    if strange := sorted({letter for letter in text if not letter.isprintable()} - set(_INVISIBLE_BUT_FINE)):
        raise ValueError(f"it has characters that do not print: {', '.join(map(ascii, strange[:5]))}; remove them")
    return text


Text = Annotated[str, AfterValidator(_check_text)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
MaskValues = tuple[Annotated[int, Field(ge=0, le=LARGEST_VALUE)], ...] | tuple[Colour, ...]
# What the numbers of a mask file are: its levels of grey, its stored values (indices in a palette file), its colours,
# numbers of objects of one class, or how opaque its pixels are.
MaskReading = Literal["grey", "values", "colours", "instances", "alpha"]


class DatasetCard(BaseModel):
    """Name, classes, mask encoding, split rule and origin of a dataset.

    Masks of one class may be cut at a grey level, or hold numbers of objects; any masks may be decoded by their values.

    Attributes:
        classes: their ids are 1, 2, … in this order; 0 is the background.
        mask_threshold: a mask pixel of this value (0..255) or more is foreground.
        mask_values: by class name, the pixel values (palette indices in a palette file) or colours "#rrggbb"
            that mean it; 0 or black is the background, and so is what is listed as "background".
        mask_ignore: stored values or colours of pixels that nobody labelled, such as the border of 255 in PASCAL VOC.
        mask_reading: what the numbers of a mask file are; None leaves it to the two fields before.
        image: how stored values become grey levels; None for plain images of 8 bits.
        accepted_copies: pairs of names whose images are alike although they are in two splits, as some published
            splits have it; the gate only reports them, where it would reject the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DomainName
    title: Text
    classes: Annotated[tuple[Text, ...], Field(min_length=1)]
    mask_threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    mask_values: dict[str, MaskValues] | None = None
    mask_ignore: MaskValues | None = None
    mask_reading: MaskReading | None = None
    image: ImageReading | None = None
    split: SplitRule
    accepted_copies: tuple[tuple[str, str], ...] = ()
    licence: Text
    citation: Text
    source: Text

    @property
    def reading(self) -> MaskReading:
        """What the numbers of a mask file are."""
        if self.mask_reading is not None:
            return self.mask_reading
        if self.mask_values is None:
            return "grey"
        coloured = any(isinstance(value, str) for values in self.mask_values.values() for value in values)
        return "colours" if coloured else "values"

    @model_validator(mode="after")
    def _masks_can_be_decoded(self) -> "DatasetCard":
        if len(set(self.classes)) < len(self.classes) or BACKGROUND in self.classes:
            raise ValueError(f"classes must differ, and none is '{BACKGROUND}'; found {', '.join(self.classes)}")
        if len(self.classes) > MOST_CLASSES:
            raise ValueError(f"{len(self.classes)} classes are too many; a mask can hold {MOST_CLASSES}")
        by_values = self.reading in ("values", "colours")
        if len(self.classes) > 1 and not by_values and (self.mask_threshold or self.mask_reading):
            raise ValueError(f"{len(self.classes)} classes can only be told apart by mask_values; give them")
        if by_values != (self.mask_values is not None) or (self.reading == "grey") != (self.mask_threshold is not None):
            raise ValueError(
                "give mask_threshold (masks of grey levels) or mask_values (values or colours by class), and not both; "
                "mask_reading: instances or alpha needs neither"
            )
        _check_values(self.classes, self.mask_values, self.mask_ignore or (), self.reading == "colours")
        return self


def _check_values(
    classes: tuple[str, ...], values: Mapping[str, MaskValues] | None, ignored: MaskValues, coloured: bool
) -> None:
    listed: list[int | str] = [*ignored, *(value for of_class in (values or {}).values() for value in of_class)]
    if values is not None and (wrong := sorted(set(values).symmetric_difference(classes) - {BACKGROUND})):
        raise ValueError(f"mask_values must name each of classes, and no other; look at {', '.join(wrong)}")
    if (values is not None and not all(values[name] for name in classes)) or len(set(listed)) < len(listed):
        raise ValueError("mask_values must give every class values of its own, none of them in mask_ignore")
    if any(isinstance(value, str) != coloured for value in listed):
        raise ValueError("mask_values and mask_ignore must be all numbers or all colours, as mask_reading says")


def read_card(root: Path) -> DatasetCard:
    """Read and check the card of the dataset in `root`.

    Raises:
        DataError: if there is none, or a field is unknown, missing or out of range.
    """
    path = root / CARD_FILE
    if not path.is_file():
        raise DataError(f"{path} not found; make a dataset with naslora data import or sample")
    try:
        return DatasetCard.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise DataError(f"{path}: {explain(error)}. Correct it and run again.") from error
    except ValueError as error:
        raise DataError(f"{path} is not valid YAML in UTF-8: {error}; correct it") from error


def write_card(root: Path, card: DatasetCard) -> None:
    """Write the card of the dataset in `root`, atomically; `read_card` gives it back unchanged."""
    writer = YAML()
    writer.width = 110
    with atomic_file(root / CARD_FILE) as temporary, temporary.open("w", encoding="utf-8") as stream:
        writer.dump(card.model_dump(mode="json", exclude_none=True, exclude_defaults=True), stream)


def explain(error: ValidationError) -> str:
    """Describe validation errors of a card, field by field."""
    known = ", ".join(DatasetCard.model_fields)
    problems = []
    for detail in error.errors():
        field = ".".join(str(part) for part in detail["loc"]) or "dataset"
        if detail["type"] == "extra_forbidden":
            problems.append(f"unknown field '{field}' (known: {known})")
        elif detail["type"] == "missing":
            problems.append(f"field '{field}' is missing")
        else:
            problems.append(f"{field}: {detail['msg'].removeprefix('Value error, ')}")
    return "; ".join(problems)
