"""Run lengths in a CSV file, as Kaggle's competitions have them.

Format: columns ImageId and EncodedPixels (Data Science Bowl 2018, Airbus), with ClassId (Severstal), or with both in
one, as ImageId_ClassId or Image_Label; also img or id with rle_mask (Carvana, TGS). EncodedPixels is a list of starts
and lengths: pixels are numbered from 1 on, down the columns. One row is an object, or all objects of a class; one
without pixels says that the image shows none. Sizes are those of the images, which lie anywhere in the folder.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Patch, Runs
from naslora_core.data.importers.shared.image_files import index_images
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes, once_each, split_from_path
from naslora_core.errors import ConfigError, DataError

CLASS = "object"
_IMAGES, _RUNS, _CLASSES = ("ImageId", "img", "id"), ("EncodedPixels", "rle_mask"), ("ClassId", "Label")
# Both in one column, the class after the last underscore.
_JOINED = ("ImageId_ClassId", "Image_Label")
# Runs of one object may be long; csv allows 131,072 characters.
_LONGEST = 2**26
_NONE = ("", "-1", "nan")


@dataclass(frozen=True)
class Row:
    """One row: where it stands, the image, the class, and the runs as text, "" for none."""

    line: int
    image: str
    label: str
    runs: str


@dataclass(frozen=True)
class NumberedRuns:
    """Starts and lengths of runs of pixels, which are numbered from 1 on, down the columns."""

    text: str

    def paint(self, height: int, width: int) -> Patch:
        """Return the columns that the runs reach."""
        numbers = np.array([int(word) for word in self.text.split()], dtype=np.int64)
        if len(numbers) % 2:
            raise ValueError(f"it has {len(numbers)} numbers; expected a start and a length of each run")
        starts, lengths = numbers.reshape(-1, 2)[np.argsort(numbers[::2], kind="stable")].T
        if starts.min(initial=1) < 1 or lengths.min(initial=1) < 1 or lengths.max(initial=0) > height * width:
            raise ValueError("a run begins before pixel 1, or has no length")
        ends = starts + lengths - 1
        if ends.max(initial=0) > height * width:
            raise ValueError(f"a run ends at pixel {ends.max()} of {height * width}; is it of another image?")
        if (starts[1:] <= ends[:-1]).any():
            raise ValueError("runs overlap; are they made for rows, not columns, or for another size?")
        gaps = starts - 1 - np.concatenate([[0], ends[:-1]])
        counts = [
            *np.column_stack([gaps, lengths]).ravel().tolist(),
            height * width - int(ends[-1] if len(ends) else 0),
        ]
        return Runs(counts, (height, width)).paint(height, width)


def find_kaggle(request: ImportRequest) -> Found:
    """Read the CSV files, and find the images they name.

    Raises:
        DataError: if a file is not as expected, an image is missing or not to be told from another, or is in two files.
        ConfigError: if a class is asked for that is not there.
    """
    root = request.folder
    rows = dict(request.left_out.read_each(lambda file: (file, _read(file, request.left_out)), _csv_files(root)))
    labels = sorted({row.label for of_file in rows.values() for row in of_file if row.runs})
    if labels == [CLASS]:
        if any(request.classes.values()) or len(request.classes) > 1:
            raise ConfigError("--class does not fit: the file has one class; rename it with --class NAME")
        classes = tuple(request.classes) or (CLASS,)
        class_ids = {CLASS: 1}
    else:
        classes = choose_classes(request.classes, labels)
        class_ids = {name: number for number, name in enumerate(classes, start=1)}
    named, stems = index_images(root), index_images(root, lambda path: one_form(path.stem))
    sources: list[tuple[str, Source]] = []
    folders, seen = set(), dict[str, Path]()
    for file, of_file in rows.items():
        of_image: dict[str, list[Row]] = {}
        for row in of_file:
            of_image.setdefault(row.image, []).append(row)
        for written, of_this in of_image.items():
            with request.left_out.taking():
                if (earlier := seen.setdefault(written, file)) != file:
                    raise DataError(f"'{written}' is in {earlier} and in {file}; remove one of the files")
                image = _locate(written, file, named, stems)
                folders.add(image.parent)
                mask = ObjectMask(file, image, partial(_objects, of_this, class_ids), "smaller_on_top")
                sources.append(("", Source(image.stem, image, mask, split_from_path(file.relative_to(root)))))
    sources = once_each(sources, request.left_out)
    alone = sum(path.parent in folders for paths in named.values() for path in paths) - len(sources)
    note = (
        f"{alone} images beside those have no row in the file and were left out: add a row without pixels to an image "
    )
    notes = (note + "that shows no object",) if alone > 0 and len(folders) < len(sources) else ()
    return build_found(root, [source for _, source in sources], classes, "Kaggle run lengths", notes)


def _objects(rows: list[Row], class_ids: Mapping[str, int]) -> list[AnnotatedObject]:
    return [
        AnnotatedObject(f"line {row.line}", class_ids[row.label], NumberedRuns(row.runs))
        for row in rows
        if row.runs and row.label in class_ids
    ]


def _read(file: Path, left_out: LeftOut) -> list[Row]:
    csv.field_size_limit(_LONGEST)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True, skipinitialspace=True)
            columns = _columns(reader.fieldnames or ())
            if columns is None:
                raise ValueError(f"its columns are {', '.join(reader.fieldnames or ())}")
            rows = [_row(reader.line_num, line, *columns) for line in reader]
    except (ValueError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}; expected ImageId,EncodedPixels, maybe ClassId") from error
    for row in rows:
        if not row.image and (row.runs or row.label != CLASS):
            left_out.add(DataError(f"{file} line {row.line} names no image; correct or remove it"))
    return [row for row in rows if row.image]


def _row(line: int, row: Mapping[str, str | None], image: str, runs: str, label: str) -> Row:
    name, text = (row[image] or "").strip(), (row[runs] or "").strip()
    kind = CLASS
    if image in _JOINED:
        name, _, kind = name.rpartition("_")
    elif label:
        kind = (row[label] or "").strip()
    kind = f"class_{kind}" if kind.isdigit() else kind
    return Row(line, name, kind, "" if text.lower() in _NONE else text)


def _columns(names: object) -> tuple[str, str, str] | None:
    """Return the columns of image, runs and class, the last "" if there is none; None if it is no such file."""
    written = list(names) if isinstance(names, list | tuple) else []
    image, runs = (next((name for name in known if name in written), "") for known in (_JOINED + _IMAGES, _RUNS))
    return (image, runs, next((name for name in _CLASSES if name in written), "")) if image and runs else None


def _locate(written: str, file: Path, named: Mapping[str, list[Path]], stems: Mapping[str, list[Path]]) -> Path:
    name = one_form(written.replace("\\", "/").rpartition("/")[2])
    is_file_name = Path(name).suffix.lower() in IMAGE_SUFFIXES
    found = named.get(name, []) if is_file_name else stems.get(name, [])
    folder = Path(one_form(written.replace("\\", "/"))).parts[:-1]
    # Of several, the one in the folder that is written, if there is one.
    found = [path for path in found if folder and path.parts[-1 - len(folder) : -1] == folder] or found
    if len(found) != 1:
        problem = f"could be {found[0]} or {found[1]}" if found else "is not in the folder"
        raise DataError(f"{file}: image '{written}' {problem}; give each image of the file once")
    return found[0]


def _csv_files(root: Path) -> list[Path]:
    # What competitors hand in looks the same, and its runs are made up.
    files = [path for path in sorted(root.glob("*.csv")) if "submission" not in path.name]
    return [path for path in files if path.is_file() and not path.name.startswith(".") and _has_columns(path)]


def _has_columns(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline(1000)
        return _columns(next(csv.reader([first], skipinitialspace=True), [])) is not None
    except (OSError, ValueError, csv.Error):
        return False


register(
    Importer(
        name="kaggle_rle",
        summary="Kaggle CSV: ImageId, EncodedPixels and maybe ClassId, run lengths down the columns",
        expected="a CSV file with ImageId and EncodedPixels, and the images it names",
        is_root=lambda folder: bool(_csv_files(folder)),
        find=find_kaggle,
        options=frozenset({"classes"}),
    )
)
