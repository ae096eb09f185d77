"""Roboflow's semantic masks: x.jpg, x_mask.png and _classes.csv in train/, valid/ and test/.

Format: https://roboflow.com/formats/semantic-segmentation-masks. _classes.csv names the values of the masks, with a
blank after each comma.
"""

import csv
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register, subfolders
from naslora_core.data.importers.labelled.readers.label_values import ValueLegend, found_by_values
from naslora_core.data.importers.shared.folder_pairs import unique_names
from naslora_core.data.importers.shared.object_formats import SPLIT_WORDS
from naslora_core.errors import DataError

CLASSES_FILE, ENDING = "_classes.csv", "_mask"
HEADER = ["pixel value", "class"]
_MOST_BYTES = 1 << 20


def read_classes(file: Path) -> dict[int, str]:
    """Return the names by value that _classes.csv gives.

    Raises:
        DataError: if it is not CSV of values and names, or a value is there twice or is no number from 0 to 65535.
    """
    names: dict[int, str] = {}
    rows = _rows(file)
    if not rows or [word.lower() for word in rows[0]] != HEADER:
        raise DataError(
            f"{file} begins with {', '.join(rows[0][:5]) if rows else 'nothing'}; expected Pixel Value, Class"
        )
    for place, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or not (row[0].isascii() and row[0].isdecimal() and int(row[0]) <= 65535 and row[1]):
            raise DataError(f"{file} line {place}: {', '.join(row)[:60]!r} is no value and name; export it again")
        if int(row[0]) in names:
            raise DataError(f"{file} line {place}: the value {row[0]} is there twice; export it again")
        names[int(row[0])] = BACKGROUND if row[1].lower() == BACKGROUND else row[1]
    return names


def find_roboflow(request: ImportRequest) -> Found:
    """Pair the images and masks of every part.

    Raises:
        DataError: if _classes.csv cannot be read, differs between the parts, or does not name a value.
        ConfigError: if a class is asked for that no mask shows.
    """
    root = request.folder
    folders = [root] if _is_part(root) else [folder for folder in subfolders(root) if _is_named_part(folder)]
    legends = {folder / CLASSES_FILE: read_classes(folder / CLASSES_FILE) for folder in folders}
    (first, names), *others = legends.items()
    if differing := [file for file, other in others if other != names]:
        raise DataError(f"{differing[0]} names other classes than {first}; export all parts of one version")
    found = []
    for folder in folders:
        there = list_images(folder)
        masks = {name.removesuffix(ENDING): path for name, path in there.items() if name.endswith(ENDING)}
        images = {name: path for name, path in there.items() if not name.endswith(ENDING)}
        split = None if folder == root else SPLIT_WORDS[folder.name.lower()]
        found += [(folder.name, name, images.get(name), masks.get(name), split) for name in sorted({*images, *masks})]
    unique = unique_names([(place, name) for place, name, *_ in found])
    sources = [Source(name, image, mask, split) for name, (*_, image, mask, split) in zip(unique, found, strict=True)]
    return found_by_values(sources, ValueLegend(str(first), names), request, "Roboflow's semantic masks")


def _rows(file: Path) -> list[list[str]]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise DataError(
                f"{file} has more than {_MOST_BYTES:,} bytes, too many for names of classes; export it again"
            )
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return [[word.strip() for word in row] for row in csv.reader(stream) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV in UTF-8: {error}; export it again") from error


def _is_part(folder: Path) -> bool:
    file = folder / CLASSES_FILE
    if not file.is_file():
        return False
    # Roboflow's labels of whole images come with a file of the same name, whose first column is that of file names.
    with file.open("rb") as stream:
        return b"pixel value" in stream.readline(200).lower()


def _is_named_part(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_WORDS and _is_part(folder)


register(
    Importer(
        name="roboflow_masks",
        summary="Roboflow's semantic masks: x.jpg, x_mask.png and _classes.csv",
        expected=f"train/, valid/ or test/ with images, masks *{ENDING}.png and {CLASSES_FILE}",
        is_root=lambda folder: _is_part(folder) or any(map(_is_named_part, subfolders(folder))),
        find=find_roboflow,
        options=frozenset({"classes"}),
    )
)
