"""Read the legends that annotation tools write beside masks: one function for each file, in `READERS`."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND, LARGEST_VALUE, MOST_CLASSES
from naslora_core.data.importers.legends.known import voc_colour
from naslora_core.data.importers.legends.legend import (
    NOT_LABELLED,
    Legend,
    legend_of_entries,
    legend_of_list,
    plain_name,
)
from naslora_core.errors import DataError

_MOST_BYTES = 1 << 20
_NUMBERED = re.compile(r"(\d+)\s*[:=,;\t ]\s*(\S.*)")


def find_legends(folders: Iterable[Path]) -> list[Legend]:
    """Read every legend that lies in one of `folders`, in the order of `READERS`.

    Raises:
        DataError: if one cannot be read.
    """
    places = list(dict.fromkeys(folders))
    # Names that differ in case are one on most computers of those who write them.
    there = [{path.name.lower(): path for path in _files(folder)} for folder in places]
    return [read(inside[name]) for name, read in READERS.items() for inside in there if name in inside]


def read_labelmap(file: Path) -> Legend:
    """Read CVAT's and Datumaro's labelmap.txt: `label:red,green,blue:parts:actions`, colours in decimals.

    If no line has a colour, those of PASCAL VOC's palette count.

    Raises:
        DataError: if a line is none, or classes cannot be told apart by their colours.
    """
    written: list[tuple[str, str, int | None]] = []
    for place, line in _lines(file):
        # A label may have colons of its own.
        fields = line.rsplit(":", 3)
        if len(fields) != 4 or not fields[0].strip():
            raise DataError(f"{place}: '{line[:60]}' is no line of a label map; expected label:red,green,blue:parts:")
        colour = _colour(fields[1].split(","), place) if fields[1].strip() else None
        written.append((place, plain_name(fields[0]), colour))
    if not written:
        raise DataError(f"{file} lists no label; export it again, or remove it")
    if all(colour is None for *_, colour in written):
        written = [(place, name, voc_colour(number)) for number, (place, name, _) in enumerate(written)]
    names: dict[int, str] = {}
    for place, name, colour in written:
        if colour is None:
            raise DataError(f"{place}: '{name}' has no colour, but others have; give it the one that the masks show")
        if colour in names or (name in names.values() and name not in (BACKGROUND, NOT_LABELLED)):
            raise DataError(f"{place}: the label '{name}' or its colour #{colour:06x} is there twice; change one")
        if not colour and name not in (BACKGROUND, NOT_LABELLED):
            raise DataError(f"{place}: '{name}' is black, as the background; give it another colour")
        names[colour] = name
    return Legend(file.name, by_colour=names)


def read_label_colours(file: Path) -> Legend:
    """Read CamVid's label_colors.txt: `red green blue name`."""
    colours = []
    for place, line in _lines(file):
        fields = line.split(maxsplit=3)
        if len(fields) != 4:
            raise DataError(f"{place}: '{line[:60]}' is no colour with a name; expected: 64 128 64 Animal")
        colours.append((_colour(fields[:3], place), fields[3]))
    return legend_of_entries(file.name, colours, colours=True)


def read_colour_table(file: Path) -> Legend:
    """Read a class_dict.csv with the columns name, r, g, b."""
    rows = _table(file, ("name", "r", "g", "b"))
    colours = [(_colour((row["r"], row["g"], row["b"]), place), row["name"]) for place, row in rows]
    return legend_of_entries(file.name, colours, colours=True)


def read_roboflow(file: Path) -> Legend:
    """Read Roboflow's _classes.csv with the columns Pixel Value and Class, and blanks after the commas."""
    values = {}
    for place, row in _table(file, ("pixel value", "class")):
        written = row["pixel value"]
        if not (written.isascii() and written.isdecimal() and int(written) <= LARGEST_VALUE):
            raise DataError(
                f"{place}: '{written[:20]}' is no pixel value; expected a whole number up to {LARGEST_VALUE}"
            )
        if int(written) in values:
            raise DataError(f"{place}: the value {written} is there twice; correct one")
        if not row["class"]:
            raise DataError(f"{place}: the value {written} has no name; give it one")
        values[int(written)] = plain_name(row["class"])
    return Legend(file.name, by_value=values)


def read_names(file: Path) -> Legend:
    """Read a list of names, one a line, which count by their places, or say their numbers: `1: crop`.

    Raises:
        DataError: if there are more than a mask can hold, or one is there twice.
    """
    lines = [line for _, line in _lines(file)]
    numbered = [found for line in lines if (found := _NUMBERED.fullmatch(line))]
    if lines and len(numbered) == len(lines):
        by_value = {int(found[1]): plain_name(found[2]) for found in numbered}
        listed, legend = [found[2] for found in numbered], Legend(file.name, by_value)
        if len(by_value) < len(numbered):
            raise DataError(f"{file} gives a number to two names; correct one")
    else:
        listed, legend = lines, legend_of_list(file.name, lines)
    names = [name for name in map(plain_name, listed) if name not in (BACKGROUND, NOT_LABELLED)]
    if len(names) > MOST_CLASSES or len(set(names)) < len(names):
        raise DataError(f"{file} has {len(names)} names of classes; expected up to {MOST_CLASSES}, each once")
    return legend


# By name; the first that explains all values of the masks holds.
READERS: dict[str, Callable[[Path], Legend]] = {
    "labelmap.txt": read_labelmap,
    "label_colors.txt": read_label_colours,
    "class_dict.csv": read_colour_table,
    "_classes.csv": read_roboflow,
    "class_names.txt": read_names,
    "classes.txt": read_names,
    "labels.txt": read_names,
}


def _files(folder: Path) -> list[Path]:
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in inside if path.name.lower() in READERS and path.is_file())


def _lines(file: Path) -> list[tuple[str, str]]:
    """Return the lines that are neither empty nor a comment, each with its place for messages."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise DataError(f"{file} is too long for a legend: {file.stat().st_size:,} bytes; rename or remove it")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as a legend in UTF-8: {error}; correct, rename or remove it") from error
    numbered = enumerate(text.splitlines(), start=1)
    return [(f"{file} line {n}", line.strip()) for n, line in numbered if line.strip() and line[:1] != "#"]


def _table(file: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    lines = _lines(file)
    try:
        rows = list(csv.reader((line for _, line in lines), skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"{file} is no table: {error}; correct, rename or remove it") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if not set(columns) <= set(header):
        begins = ",".join(rows[0])[:60] if rows else "nothing"
        raise DataError(f"{file} begins with {begins}; expected the columns {', '.join(columns)}")
    found = []
    for (place, line), row in zip(lines[1:], rows[1:], strict=True):
        if len(row) < len(header):
            raise DataError(f"{place}: '{line[:60]}' has {len(row)} columns, its header has {len(header)}; correct it")
        found.append((place, {name: cell.strip() for name, cell in zip(header, row, strict=False)}))
    return found


def _colour(parts: Sequence[str], place: str) -> int:
    levels = [part.strip() for part in parts]
    if len(levels) != 3 or not all(level.isdecimal() and int(level) <= 255 for level in levels):
        raise DataError(f"{place}: '{','.join(levels)[:30]}' is no colour; expected three numbers up to 255")
    red, green, blue = map(int, levels)
    return (red << 16) | (green << 8) | blue
