"""CVAT for images 1.1: annotations.xml with polygons, masks and ellipses, and the images it names.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format/. Shapes are painted by their z_order, the higher above, as
CVAT paints its own "Segmentation mask": polygons as pycocotools, ellipses as OpenCV. Boxes are no outlines and are
left out, although CVAT fills them there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.drawn.readers.cvat_file import PAINTED, CvatFile, CvatImage, read_cvat, shape_from
from naslora_core.data.importers.drawn.readers.images import (
    ImageFiles,
    agreed_size,
    counted,
    named_apart,
    split_of_folder,
)
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.shapes import Outline
from naslora_core.data.importers.shared.json_files import files_of, first_files, reason_of
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few

_HEAD = 4096


def find_cvat(request: ImportRequest) -> Found:
    """Read the XML files of a folder, and find the images they name.

    Raises:
        DataError: if a file is not sound, is of a video, or has boxes only.
        ConfigError: if a class is asked for that is no label.
    """
    root = request.folder
    paths = [file for file in files_of(root, ".xml") if _looks_like_cvat(file)]
    files = request.left_out.read_each(partial(read_cvat, left_out=request.left_out), paths)
    shapes = [shape for file in files for image in file.images for shape in image.shapes]
    used = {shape.label for shape in shapes if shape.kind in PAINTED}
    if not used:
        raise DataError(f"{paths[0]} has no polygons and no masks, maybe boxes only; draw or export outlines")
    known = dict.fromkeys(label for file in files for label in (*file.labels, *sorted(used)))
    classes = choose_classes(request.classes, [name for name in known if name in used])
    ids = {name: number for number, name in enumerate(classes, start=1)} | {BACKGROUND: 0}
    images, outline = ImageFiles(root), request.outline or "edges"
    sources = named_apart(
        (
            one
            for file in files
            for one in request.left_out.read_each(
                partial(_source, file.path, ids, images, outline, request.left_out), file.images
            )
        ),
        request.left_out,
    )
    return build_found(root, sources, classes, "CVAT for images", _notes(files, [n for n in known if n not in used]))


def _source(
    file: Path, ids: Mapping[str, int], images: ImageFiles, outline: Outline, left_out: LeftOut, image: CvatImage
) -> tuple[str, Source]:
    path = images.find(f"images/{image.subset}/{image.name}", file)
    size = agreed_size(image.size, path, file)
    objects = partial(_objects, file, image, ids, outline, left_out)
    mask = ObjectMask(file, size, objects, "listed") if size else None
    written = Path(image.subset, image.name.replace("\\", "/"))
    split = split_of_folder(Path(image.subset)) or split_of_folder(written.parent)
    return str(written.parent), Source(written.stem, path, mask, split)


def _objects(
    file: Path, image: CvatImage, ids: Mapping[str, int], outline: Outline, left_out: LeftOut
) -> Sequence[AnnotatedObject]:
    painted = [shape for shape in image.shapes if shape.kind in PAINTED and shape.label in ids]
    objects = []
    for shape in sorted(painted, key=lambda one: one.z_order):
        name = f"image '{image.name}', {shape.kind} {shape.number} ({shape.label})"
        try:
            objects.append(AnnotatedObject(name, ids[shape.label], shape_from(shape, outline)))
        except (KeyError, ValueError, OverflowError) as error:
            reason = reason_of(error)
            left_out.add(DataError(f"{file}: {name} is not sound: {reason}; correct or remove it"))
    return objects


def _notes(files: Sequence[CvatFile], unused: Sequence[str]) -> tuple[str, ...]:
    kinds = Counter(shape.kind for file in files for image in file.images for shape in image.shapes)
    notes = list(counted({kind: n for kind, n in kinds.items() if kind not in PAINTED}, "they are no outlines"))
    if unused:
        notes.append(f"labels without any outline were left out: {few(unused)}")
    if empty := [image.name for file in files for image in file.images if not image.shapes]:
        notes.append(f"{len(empty)} images have no shape and count as showing no object: {few(empty)}")
    return tuple(notes)


def _looks_like_cvat(file: Path) -> bool:
    if file.name.startswith(".") or not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    # An <annotation> is of PASCAL VOC.
    return b"<annotations>" in head


register(
    Importer(
        name="cvat",
        summary="CVAT for images 1.1: an XML file of polygons and masks",
        expected="an XML file with <annotations>, and the images it names",
        is_root=lambda folder: any(_looks_like_cvat(file) for file in first_files(folder, ".xml")),
        find=find_cvat,
        options=frozenset({"classes", "outline"}),
    )
)
