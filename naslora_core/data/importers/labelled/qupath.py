"""QuPath: x.geojson beside the image x, of annotations or detections in pixels.

Format: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html#geojson, written by File >
Export objects as GeoJSON. Outlines are painted as QuPath's own LabeledImageServer paints them at full resolution: a
pixel belongs to what holds its upper left corner. Where objects overlap, the smaller one is seen. The class "Ignore*"
marks what is not labelled, "Region*" is a frame for viewing and no object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from naslora_core.data.dataset.card import IGNORED_ID
from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, register
from naslora_core.data.importers.labelled.readers.beside import IMAGES_FOLDERS, images_of, painted_pairs
from naslora_core.data.importers.labelled.readers.qupath_features import Feature, read_features
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.painting.pixel_centres import Rings
from naslora_core.data.importers.shared.image_files import stored_size
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few

ENDING = ".geojson"
LABEL_FOLDERS = (".", "geojson", "annotations", "labels", "masks")
UNCLASSIFIED, IGNORED, REGION = "unclassified", "Ignore*", "Region*"
# Graphics2D looks at the upper left corner of a pixel unless it is asked for pure strokes, which QuPath does not do.
_CORNER = 0.5


@dataclass(frozen=True)
class GeoJsonObjects:
    """The objects of one image, read from its file when called; `class_ids` by name, others are left out."""

    file: Path
    class_ids: tuple[tuple[str, int], ...]
    left_out: LeftOut

    def __call__(self) -> Sequence[AnnotatedObject]:
        """Read the file.

        Raises:
            DataError: if it has been changed, and cannot be read any more.
        """
        ids = dict(self.class_ids)
        return [
            AnnotatedObject(f"feature {one.number}", ids[one.name], Rings([ring + _CORNER for ring in one.rings]))
            for one in read_features(self.file, self.left_out)
            if one.rings and one.name in ids
        ]


def find_qupath(request: ImportRequest) -> Found:
    """Pair the files with their images, and read them all to know their classes.

    Raises:
        DataError: if a file cannot be read or belongs to no image, or no object has an area.
        ConfigError: if a class is asked for that no object has.
    """
    root = request.folder
    images = images_of(root)
    taking = request.left_out
    files = _pair(root, images, taking)
    read = dict(taking.read_each(lambda name: (name, read_features(files[name], taking)), files))
    features = [feature for listed in read.values() for feature in listed]
    areas = [feature for feature in features if feature.rings and feature.name != REGION]
    named = sorted({feature.name for feature in areas} - {"", IGNORED})
    blank = UNCLASSIFIED if named else "object"
    if not named and len(request.classes) == 1 and not any(request.classes.values()):
        blank = next(iter(request.classes))
    names = [*named, *([blank] if any(not feature.name for feature in areas) else [])]
    classes = choose_classes(request.classes, names)
    class_ids = {IGNORED: IGNORED_ID} | {
        "" if name == blank else name: place for place, name in enumerate(classes, start=1)
    }
    known = tuple(class_ids.items())

    def mask_of(image: Path, file: Path) -> ObjectMask:
        return ObjectMask(file, stored_size(image, "QuPath"), GeoJsonObjects(file, known, taking), "smaller_on_top")

    sources = painted_pairs(images, files, read, mask_of, taking)
    made = build_found(root, sources, classes, "QuPath's GeoJSON", _notes(features, blank, images, files))
    return replace(made, mask_ignore=(IGNORED_ID,)) if any(one.name == IGNORED for one in areas) else made


def _notes(features: Sequence[Feature], blank: str, images: dict[str, Path], files: dict[str, Path]) -> tuple[str, ...]:
    without = sum(not feature.rings for feature in features)
    frames = sum(bool(feature.rings) and feature.name == REGION for feature in features)
    unnamed = sum(bool(feature.rings) and not feature.name for feature in features)
    alone = sorted(images.keys() - files.keys())
    notes = [
        (without, f"{without} objects are lines or points, or lie in other planes, and were left out"),
        (frames, f"{frames} objects of the class {REGION} are frames and were left out"),
        (unnamed if blank == UNCLASSIFIED else 0, f"{unnamed} objects have no class and became '{UNCLASSIFIED}'"),
        (
            len(alone),
            f"{len(alone)} images have no {ENDING} file: {few(alone)}. Export one for each image, also for one "
            "without objects, or leave them out with --pairs-only",
        ),
    ]
    return tuple(note for count, note in notes if count)


def _pair(root: Path, images: dict[str, Path], left_out: LeftOut) -> dict[str, Path]:
    """Return the file of each image that has one: x.geojson or x.tif.geojson of x.tif."""
    by_name = {one_form(path.name): name for name, path in images.items()}
    pairs: dict[str, Path] = {}
    alone = []
    for file in _files(root):
        stem = one_form(file.name[: -len(ENDING)])
        name = stem if stem in images else by_name.get(stem)
        if name is None:
            alone.append(file.name)
        elif name in pairs:
            left_out.add(DataError(f"{file} and {pairs[name].name} are both of the image '{name}'; remove one"))
        else:
            pairs[name] = file
    if alone:
        left_out.add(
            DataError(
                f"{root}: {len(alone)} files are named as no image: {few(alone)}; the images are "
                f"{few(sorted(by_name)) or 'none'}. Call the file of x.tif x{ENDING}"
            )
        )
    return pairs


def _files(root: Path) -> list[Path]:
    folders = [root / name for name in LABEL_FOLDERS if (root / name).is_dir()]
    return [path for folder in folders for path in sorted(folder.glob(f"[!.]*{ENDING}")) if path.is_file()]


def _is_root(folder: Path) -> bool:
    there = (path for name in IMAGES_FOLDERS if (folder / name).is_dir() for path in (folder / name).iterdir())
    return bool(_files(folder)) and any(path.suffix.lower() in IMAGE_SUFFIXES for path in there)


register(
    Importer(
        name="qupath",
        summary="QuPath: x.geojson of annotations or detections beside the image x",
        expected=f"images, and x{ENDING} for the image x",
        is_root=_is_root,
        find=find_qupath,
        options=frozenset({"classes"}),
    )
)
