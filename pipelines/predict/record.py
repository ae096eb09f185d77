"""The record of a run of `naslora predict`: predictions.csv, and the settings that --resume compares."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from naslora_core.config import Section
from naslora_core.errors import ConfigError, DataError, few
from naslora_core.files import atomic_file, write_json
from naslora_core.reading import read_object
from pipelines.predict.inputs import InputImage
from pipelines.predict.mask_files import read_ids
from pipelines.predict.outputs import OutputChoice
from pipelines.predict.scores import SCORES

ROWS_FILE, SETTINGS_FILE = "predictions.csv", "predictions.json"


class Row(Section):
    """The result for one image.

    Attributes:
        file: the image, as it was given.
        name: with which the names of its outputs begin.
        tiles: in how many pieces it was predicted; None if a run that was killed did it.
        foreground_share: of its pixels, that are not background.
        scores: of its classes, see `scores.to_text`; None if it has none, or a run that was killed did it.
        seconds: for reading it, its share of the batches it was in, and writing; None as with `tiles`.
        status: "kept" is of an earlier run that this one resumed.
        message: why it failed.
    """

    file: str
    name: str
    width: int | None = None
    height: int | None = None
    tiles: int | None = None
    foreground_share: float | None = None
    scores: str | None = Field(default=None, pattern=SCORES)
    seconds: float | None = None
    status: Literal["predicted", "kept", "failed"]
    message: str | None = None

    @property
    def has_scores(self) -> bool:
        """Whether the score of every class in the mask is known."""
        return self.status != "failed" and (self.scores is not None or self.foreground_share == 0)


class RunSettings(Section):
    """All that decides what a mask looks like, beside the image; files of other settings must not be mixed.

    Attributes:
        precision: in which the model computed, "float32" or "bf16".
        mask_palette: "classes" or "none", see `mask_picture`.
        flips: see `Inference`; absent from what earlier versions wrote.
    """

    model_sha256: str
    threshold: float
    tile: str
    overlap: float
    precision: str
    mask_palette: str
    flips: str = "none"


def begin(
    images: Sequence[InputImage], choice: OutputChoice, settings: RunSettings, resume: bool, force: bool
) -> tuple[list[Row], list[InputImage]]:
    """Return the rows that this run keeps of an earlier one, and the images that are left.

    Writes predictions.json, unless it goes on with that of the earlier run: what is younger than this file is its.

    Args:
        images: all that are asked for.
        choice: where to and what to write.
        settings: of this run.
        resume: go on with an earlier run of the same settings.
        force: replace what is there.

    Raises:
        DataError: if what the earlier run wrote about itself cannot be read.
        ConfigError: if files would be overwritten without `force`, the earlier run had other settings or other
            images of the same names, or a COCO file is wanted of images whose scores it lost.
    """
    if resume and force:
        raise ConfigError("--resume keeps what is there and --force replaces it; give one of them")
    record = choice.folder / SETTINGS_FILE
    if resume and record.is_file():
        _require_same(record, settings)
        earlier = read_rows(choice.folder)
        _require_same_images(images, earlier)
        done = {image.name for image in images if _is_done(image, choice, record, earlier.get(image.name))}
        kept = [_kept(image, choice, earlier.get(image.name)) for image in images if image.name in done]
        others = [row for name, row in earlier.items() if name not in {image.name for image in images}]
        _require_scores(others, choice)
        return [*others, *kept], [image for image in images if image.name not in done]
    if not force:
        outputs = (file for image in images for file in choice.files(image).values())
        for file in (record, choice.folder / ROWS_FILE, *outputs):
            if file.exists():
                raise ConfigError(
                    f"{file} exists; --resume goes on with the run that wrote it, --force replaces it, or give "
                    "another --out"
                )
    write_json(record, settings.model_dump())
    return [], list(images)


def read_rows(folder: Path) -> dict[str, Row]:
    """Return the rows of predictions.csv by name; none if it is not there.

    Raises:
        DataError: if it was changed so that it cannot be read.
    """
    path = folder / ROWS_FILE
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            content = [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
        rows = [Row.model_validate(row) for row in content]
    # What pydantic finds wrong is a ValueError too, as is what is not UTF-8.
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{path} is not as a run writes it: {' '.join(str(error).split())[:200]}; delete it, and --resume makes it "
            "anew without times and scores, or give --force"
        ) from error
    return {row.name: row for row in rows}


def write_rows(folder: Path, rows: Iterable[Row]) -> Path:
    """Write predictions.csv, and return its path."""
    with atomic_file(folder / ROWS_FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(Row.model_fields))
        writer.writeheader()
        writer.writerows(row.model_dump() for row in rows)
    return folder / ROWS_FILE


def _require_same(record: Path, settings: RunSettings) -> None:
    try:
        earlier, wanted = read_object(record), settings.model_dump()
    except ValueError as error:
        raise DataError(f"{record} cannot be read: {error}; give --force, or another --out") from error
    changed = [f"{key} {earlier.get(key)}, not {value}" for key, value in wanted.items() if earlier.get(key) != value]
    if changed:
        raise ConfigError(
            f"{record.parent} cannot be resumed: it was predicted with {'; '.join(changed)}. Give the same options, "
            "--force to predict anew, or another --out"
        )


def _require_same_images(images: Iterable[InputImage], earlier: Mapping[str, Row]) -> None:
    for image in images:
        other = Path(earlier[image.name].file) if image.name in earlier else image.path
        # A relative path of a run that was started elsewhere says nothing.
        if other.exists() and not other.samefile(image.path):
            raise ConfigError(
                f"{other} and {image.path} would write the same mask; give another --out, or the folder of both "
                "folders with --recursive"
            )


def _require_scores(others: Sequence[Row], choice: OutputChoice) -> None:
    lost = [row.file for row in others if row.status != "failed" and not row.has_scores] if choice.has_coco else []
    if lost:
        raise ConfigError(
            f"{choice.folder / ROWS_FILE} has no scores, which COCO needs, of {len(lost)} images that a killed run "
            f"predicted: {few(lost)}. Name these images too, and --resume predicts them again"
        )


def _is_done(image: InputImage, choice: OutputChoice, record: Path, earlier: Row | None) -> bool:
    if choice.has_coco and (earlier is None or not earlier.has_scores):
        return False
    files = list(choice.files(image).values())
    if not all(file.is_file() for file in files):
        return False
    since = max(path.stat().st_mtime_ns for path in (record, image.path))
    return all(file.stat().st_mtime_ns >= since for file in files)


def _kept(image: InputImage, choice: OutputChoice, earlier: Row | None) -> Row:
    if earlier is not None and earlier.status != "failed":
        return earlier.model_copy(update={"status": "kept"})
    ids = read_ids(choice.files(image)["mask"], several=len(choice.classes) > 1)
    share, (height, width) = float((ids > 0).mean()), ids.shape
    return Row(file=str(image.path), name=image.name, width=width, height=height, foreground_share=share, status="kept")
