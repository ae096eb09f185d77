"""Read a CSV file of image and mask pairs, optionally with their split and group."""

import csv
from pathlib import Path

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import find_named, one_form
from naslora_core.data.importers.base import Source
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS
from naslora_core.errors import DataError

# "label" is what the CSV files of AutoGluon and Conv-LoRA call a mask.
MASK_COLUMNS = ("mask", "label")
COLUMNS = {"image", *MASK_COLUMNS, "split", "group"}


def read_pairs(file: Path, folder: Path, left_out: LeftOut | None = None) -> tuple[Source, ...]:
    """Read the pairs of a CSV file with the columns image, mask (or label) and, if wanted, split and group.

    Args:
        file: the CSV file, in UTF-8.
        folder: where relative paths begin. An empty path is a missing partner.
        left_out: takes the errors of single lines.

    Raises:
        DataError: for a wrong header, a file that is not there, an unknown split, or no line at all.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = list(reader.fieldnames or ())
            mask = next((column for column in MASK_COLUMNS if column in header), "mask")
            if not {"image", mask} <= set(header) <= COLUMNS:
                raise DataError(f"{file} begins with {','.join(header)}; expected image,mask and maybe split and group")
            lines = [(f"{file} line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV in UTF-8: {error}; check --pairs") from error
    if not lines:
        raise DataError(f"{file} lists no pair")
    found: list[tuple[Path | None, Path | None, str | None, str]] = []
    for place, row in lines:
        try:
            files = _find(folder, row["image"], place), _find(folder, row[mask], place)
            found.append((*files, _split(row, place), (row.get("group") or "").strip()))
        except DataError as error:
            (left_out or LeftOut()).add(error)
    places = [image or label or folder for image, label, *_ in found]
    names = unique_names([(str(path.parent), one_form(path.stem)) for path in places])
    return tuple(Source(name, *one) for name, one in zip(names, found, strict=True))


def _find(folder: Path, written: str | None, place: str) -> Path | None:
    if not (written := (written or "").strip()):
        return None
    path = folder / written
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{place}: {path} is no image file; expected {', '.join(sorted(IMAGE_SUFFIXES))}")
    # Where the list has another Unicode form of the name than the disk.
    found = path if "\0" not in written and path.is_file() else find_named(path, folder)
    if found is None or not found.is_file():
        raise DataError(f"{place}: {path} is not there; correct the path, or name the folder it begins in")
    return found


def _split(row: dict[str, str], place: str) -> str | None:
    if "split" not in row:
        return None
    word = (row["split"] or "").strip().lower()
    if word not in SPLIT_WORDS:
        raise DataError(f"{place}: '{word}' is not a split; use train, validation or test, or leave the column out")
    return SPLIT_WORDS[word]
