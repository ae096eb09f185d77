"""Label Studio's "Brush labels to PNG": task-1-annotation-2-by-3-tag-LABEL-0.png, a file for each region.

The files name tasks, not images: the same folder needs the JSON or JSON-MIN export of the project, which has the names
of the images. Where a JSON export with the strokes is there, `label_studio` reads more: polygons, skipped annotations,
ground truth, and which of two strokes lies above the other, for which the files have the order of their names only.
What is not wholly transparent in Label Studio is not 0 in the PNG file.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.dataset.image_files.pixels import read_mask_values
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.drawn.label_studio import find_image, is_export
from naslora_core.data.importers.drawn.readers.images import ImageFiles, named_apart
from naslora_core.data.importers.drawn.readers.label_studio_file import read_image_names
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Patch
from naslora_core.data.importers.shared.image_files import upright_size
from naslora_core.data.importers.shared.json_files import files_of, first_files, has_keys
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few

# The author is a number or an address without a hyphen; the name of the tag has none either, unless someone chose one.
_NAME = re.compile(r"task-(\d{1,18})-annotation-(\d{1,18})-by-([^-]*)-([^-]+)-(.+)-(\d+)\.png")


@dataclass(frozen=True, eq=False)
class BrushFile:
    """One file of a region; it is a shape as well."""

    path: Path
    task: int
    annotation: int
    label: str
    number: int

    def paint(self, height: int, width: int) -> Patch:
        """Return the pixels of the file that are not 0, in the whole image.

        Raises:
            DataError: if the file cannot be read.
            ValueError: if it is of another size than the image.
        """
        values = read_mask_values(self.path)
        if values.shape != (height, width):
            raise ValueError(f"it has {values.shape[1]} x {values.shape[0]} px, its image {width} x {height}")
        return Patch(0, 0, np.asarray(values != 0))


def find_label_studio_png(request: ImportRequest) -> Found:
    """Find the PNG files of each task, and the image that the JSON file names for it.

    Raises:
        DataError: if there is no such JSON file, or it does not have a task.
        ConfigError: if a class is asked for that no file has.
    """
    root = request.folder
    files = [file for path in files_of(root, ".png") if (file := _brush_file(path))]
    names: dict[int, tuple[str, bool]] = {}
    for path in files_of(root, ".json"):
        if is_export(path) or has_keys(path, ("id",), first=b"["):
            with request.left_out.taking():
                names |= read_image_names(path)
    if missing := sorted({file.task for file in files} - names.keys()):
        request.left_out.add(
            DataError(
                f"{root}: nothing says which images the tasks {few(missing)} are of; add the JSON or JSON-MIN export "
                "of the project to the folder"
            )
        )
        files = [file for file in files if file.task in names]
    classes = choose_classes(request.classes, sorted({file.label for file in files}))
    ids = {name: number for number, name in enumerate(classes, start=1)} | {BACKGROUND: 0}
    latest = {task: 0 for task, (_, is_empty) in names.items() if is_empty}
    latest |= {file.task: file.annotation for file in sorted(files, key=lambda one: one.annotation)}
    images = ImageFiles(root)
    sources = []
    for task, annotation in sorted(latest.items()):
        with request.left_out.taking():
            written = Path(names[task][0])
            image = find_image(str(written), root / "tasks", images)
            of_task = [one for one in files if (one.task, one.annotation) == (task, annotation) and one.label in ids]
            mask = ObjectMask(root, upright_size(image), partial(_objects, of_task, ids), "listed") if image else None
            sources.append((str(written.parent), Source(image.stem if image else written.stem, image, mask)))
    return build_found(
        root, named_apart(sources, request.left_out), classes, "Label Studio brush PNG", _notes(files, latest, names)
    )


def _objects(files: Sequence[BrushFile], ids: Mapping[str, int]) -> Sequence[AnnotatedObject]:
    ordered = sorted(files, key=lambda one: (one.label, one.number))
    return [AnnotatedObject(file.path.name, ids[file.label], file) for file in ordered]


def _brush_file(path: Path) -> BrushFile | None:
    parts = _NAME.fullmatch(path.name)
    if not parts:
        return None
    task, annotation, _, _, label, number = parts.groups()
    return BrushFile(path, int(task), int(annotation), label, int(number))


def _notes(files: Sequence[BrushFile], latest: Mapping[int, int], names: Mapping[int, object]) -> tuple[str, ...]:
    notes = []
    if others := sorted({file.task for file in files if file.annotation != latest[file.task]}):
        notes.append(f"of {len(others)} tasks with several annotations the latest was taken: {few(others)}")
    if empty := sorted(latest.keys() - {file.task for file in files}):
        notes.append(f"{len(empty)} tasks are annotated without a region and show no object: {few(empty)}")
    if bare := sorted(names.keys() - latest.keys()):
        notes.append(f"{len(bare)} tasks have no PNG file and were left out, as not brushed: {few(bare)}")
    return tuple(notes)


register(
    Importer(
        name="label_studio_png",
        summary="Label Studio's brush labels as PNG, several files an image, with its JSON-MIN",
        expected="task-1-annotation-2-by-3-tag-LABEL-0.png, the JSON-MIN export, and images",
        is_root=lambda folder: any(_NAME.fullmatch(file.name) for file in first_files(folder, ".png")),
        find=find_label_studio_png,
        options=frozenset({"classes"}),
        is_unmistakable=lambda folder: not any(is_export(file) for file in first_files(folder, ".json")),
    )
)
