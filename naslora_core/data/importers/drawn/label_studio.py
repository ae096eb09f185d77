"""Label Studio: its JSON export with polygons and strokes of brushes, and the images of its tasks.

Of several annotations of a task the one marked as ground truth counts, or else the latest. Regions are painted in the
order listed; corners lie between pixels, as people set them on a screen. Classes follow the alphabet, as the export
has no list of labels. JSON-MIN is not read, as it does not tell skipped annotations from others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.drawn.readers.images import (
    ImageFiles,
    agreed_size,
    counted,
    named_apart,
    split_of_folder,
)
from naslora_core.data.importers.drawn.readers.label_studio_file import (
    PAINTED,
    Task,
    read_tasks,
    shape_from,
    written_names,
)
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Outline
from naslora_core.data.importers.shared.json_files import files_of, first_files, has_keys
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few

KEYS = ("annotations", "data")


def find_label_studio(request: ImportRequest) -> Found:
    """Read the exports in a folder, and find the images of their tasks.

    Raises:
        DataError: if an export is not sound, or has no polygon and no stroke of a brush.
        ConfigError: if a class is asked for that no region has.
    """
    root = request.folder
    paths = [file for file in files_of(root, ".json") if is_export(file)]
    tasks = dict(request.left_out.read_each(lambda file: (file, read_tasks(file, request.left_out)), paths))
    regions = [region for listed in tasks.values() for task in listed for region in task.regions or ()]
    used = {region.labels[0] for region in regions if region.kind in PAINTED and region.labels}
    if not used:
        raise DataError(f"{paths[0]} has no polygons and no brush strokes with a label; draw some, or check")
    classes = choose_classes(request.classes, sorted(used))
    ids = {name: number for number, name in enumerate(classes, start=1)} | {BACKGROUND: 0}
    images, outline = ImageFiles(root), request.outline or "edges"
    sources = named_apart(
        (
            one
            for file, listed in tasks.items()
            for one in request.left_out.read_each(
                partial(_source, file, ids, images, outline, request.left_out),
                (task for task in listed if task.regions is not None),
            )
        ),
        request.left_out,
    )
    notes = _notes([task for listed in tasks.values() for task in listed])
    return build_found(root, sources, classes, "Label Studio", notes)


def is_export(file: Path) -> bool:
    """Say whether a file looks like an export as JSON, and not as JSON-MIN."""
    return has_keys(file, KEYS, first=b"[")


def find_image(name: str, file: Path, images: ImageFiles) -> Path | None:
    """Return the image that a task names, under its name or without the prefix of an upload."""
    return next(filter(None, (images.find(one, file) for one in written_names(name))), None)


def _source(
    file: Path, ids: Mapping[str, int], images: ImageFiles, outline: Outline, left_out: LeftOut, task: Task
) -> tuple[str, Source]:
    image = find_image(task.image, file, images)
    sizes = {region.size for region in task.regions or () if region.size}
    if len(sizes) > 1:
        raise DataError(f"{file}: task {task.number} has regions drawn on images of {len(sizes)} sizes; correct it")
    size = agreed_size(next(iter(sizes), None), image, file)
    objects = partial(_objects, file, task, ids, size, outline, left_out) if size else None
    mask = ObjectMask(file, size, objects, "listed") if size and objects else None
    written = Path(written_names(task.image)[-1])
    split = split_of_folder(image.parent.relative_to(images.root)) if image else None
    return str(written.parent), Source(image.stem if image else written.stem, image, mask, split)


def _objects(
    file: Path, task: Task, ids: Mapping[str, int], size: tuple[int, int], outline: Outline, left_out: LeftOut
) -> Sequence[AnnotatedObject]:
    objects = []
    for region in task.regions or ():
        if region.kind in PAINTED and region.labels and region.labels[0] in ids:
            name = f"task {task.number}, {region.kind} {region.identity} ({region.labels[0]})"
            try:
                objects.append(AnnotatedObject(name, ids[region.labels[0]], shape_from(region, size, outline)))
            except (ValueError, TypeError, OverflowError) as error:
                left_out.add(DataError(f"{file}: {name} is not sound: {error}; correct or remove it"))
    return objects


def _notes(tasks: Sequence[Task]) -> tuple[str, ...]:
    regions = [region for task in tasks for region in task.regions or ()]
    kinds = Counter(region.kind for region in regions if region.kind not in PAINTED)
    kinds["region without a label"] = sum(region.kind in PAINTED and not region.labels for region in regions)
    notes = list(counted(kinds, "only polygons and strokes of brushes with a label are outlines of a class"))
    if unlabelled := [task.number for task in tasks if task.regions is None]:
        notes.append(
            f"{len(unlabelled)} tasks without an annotation, or with skipped ones only, were left out: "
            f"{few(unlabelled)}"
        )
    several = [task for task in tasks if task.annotations > 1]
    if chosen := [task.number for task in several if task.is_chosen]:
        notes.append(f"of {len(chosen)} tasks with several annotations the ground truth was taken: {few(chosen)}")
    if latest := [task.number for task in several if not task.is_chosen]:
        notes.append(
            f"of {len(latest)} tasks with several annotations the latest was taken: {few(latest)}; to take another, "
            "mark one as ground truth in Label Studio"
        )
    if many := sum(len(region.labels) > 1 for region in regions):
        notes.append(f"{many} regions have several labels, of which the first counts")
    return tuple(notes)


register(
    Importer(
        name="label_studio",
        summary="Label Studio JSON: polygons and strokes of brushes",
        expected="a JSON export of Label Studio (not JSON-MIN), and the images of its tasks",
        is_root=lambda folder: any(is_export(file) for file in first_files(folder, ".json")),
        find=find_label_studio,
        options=frozenset({"classes", "outline"}),
    )
)
