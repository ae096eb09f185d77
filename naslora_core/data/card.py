"""What a dataset says about itself: `dataset.yaml`, beside its images and masks."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from naslora_core.config import DomainName, Share
from naslora_core.errors import DataError
from naslora_core.files import atomic_file

CARD_FILE = "dataset.yaml"


class SplitRule(BaseModel):
    """How images are divided; shares are fractions of the images and add up to 1.

    `random`: a seeded draw; images that come in later are drawn by a hash of their name.
    `listed`: as published; images that come in later are for training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["random", "listed"]
    seed: Annotated[int, Field(ge=0)]
    train: Share
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _shares_add_up(self) -> "SplitRule":
        if abs((total := self.train + self.validation + self.test) - 1) > 0.001:
            raise ValueError(f"train + validation + test must be 1, found {total:g}")
        return self


class DatasetCard(BaseModel):
    """Name, classes, mask encoding, split rule and origin of a dataset.

    `mask_threshold`: a mask pixel of this value (0..255) or more is foreground.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DomainName
    title: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    mask_threshold: Annotated[int, Field(ge=1, le=255)]
    split: SplitRule
    licence: str
    citation: str
    source: str

    @model_validator(mode="after")
    def _one_class(self) -> "DatasetCard":
        if len(self.classes) > 1:
            raise ValueError(
                f"{len(self.classes)} classes ({', '.join(self.classes)}) are not supported yet; "
                "name one, and make one dataset a class"
            )
        return self


def read_card(root: Path) -> DatasetCard:
    """Read and check the card of the dataset in `root`.

    Raises:
        DataError: if there is none, or a field is unknown, missing or out of range.
    """
    path = root / CARD_FILE
    if not path.is_file():
        raise DataError(f"{path} not found; make a dataset with naslora data import or sample")
    try:
        return DatasetCard.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
    except (YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid YAML in UTF-8: {error}; correct it") from error
    except ValidationError as error:
        raise DataError(f"{path}: {_explain(error)}. Correct it and run again.") from error


def write_card(root: Path, card: DatasetCard) -> None:
    """Write the card of the dataset in `root`, atomically; `read_card` gives it back unchanged."""
    writer = YAML()
    writer.width = 110
    with atomic_file(root / CARD_FILE) as temporary, temporary.open("w", encoding="utf-8") as stream:
        writer.dump(card.model_dump(mode="json"), stream)


def _explain(error: ValidationError) -> str:
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
