"""ImageJ and Fiji: regions of interest in x.roi, x.zip or RoiSet_x.zip beside the image x.

Format: https://imagej.net/ij/docs/guide/146-30.html#sub:ROI-Manager. Regions are painted as ImageJ fills them; later
ones lie above earlier ones. Their groups (Edit > Properties, ROI Manager > More > Group) are the classes, if there are
any. Lines and points have no area, and are left out.
"""

import re
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslora_core.data.dataset.image_files.pixels import IMAGE_SUFFIXES
from naslora_core.data.dataset.names import one_form
from naslora_core.data.importers.base import Found, Importer, ImportRequest, register
from naslora_core.data.importers.labelled.readers.beside import images_of, painted_pairs
from naslora_core.data.importers.labelled.readers.imagej_rois import holds_rois, read_rois
from naslora_core.data.importers.left_out import LeftOut
from naslora_core.data.importers.painting.objects import AnnotatedObject, ObjectMask
from naslora_core.data.importers.shared.image_files import stored_size
from naslora_core.data.importers.shared.object_formats import build_found, choose_classes
from naslora_core.errors import DataError, few

ROI_FOLDERS = (".", "rois", "ROIs", "roi", "RoiSets", "annotations", "labels", "masks")
# What Fiji and people add to the name of an image.
_AROUND = re.compile(r"(?:roiset[_\- ]*)?(.*?)(?:[_\- ]*(?:roiset|rois?))?", re.IGNORECASE)
NO_GROUP = "no group"


@dataclass(frozen=True)
class RoiObjects:
    """The objects of one image, read from its file when called; `class_ids` by group, others are left out."""

    file: Path
    class_ids: tuple[tuple[int, int], ...]
    left_out: LeftOut

    def __call__(self) -> Sequence[AnnotatedObject]:
        """Read the file.

        Raises:
            DataError: if it has been changed, and cannot be read any more.
        """
        ids = dict(self.class_ids)
        return [
            AnnotatedObject(f"region {region.name}", ids[region.group], region.shape)
            for region in read_rois(self.file, self.left_out)
            if region.shape is not None and region.group in ids
        ]


def find_imagej(request: ImportRequest) -> Found:
    """Pair the files of regions with their images, and read them all to know their groups.

    Raises:
        DataError: without roifile, or if a file of regions cannot be read or belongs to no image.
        ConfigError: if a class is asked for that no region has.
    """
    root = request.folder
    images = images_of(root)
    files = _pair(root, _roi_files(root, images), images, request.left_out)
    taking = request.left_out
    read = taking.read_each(lambda name: (name, read_rois(files[name], taking)), files)
    regions = dict(read)
    areas = [region for listed in regions.values() for region in listed if region.shape is not None]
    groups = sorted({region.group for region in areas})
    names = {group: f"group {group}" if group else NO_GROUP for group in groups} if any(groups) else {0: "object"}
    if not any(groups) and len(request.classes) == 1 and not any(request.classes.values()):
        names = {0: next(iter(request.classes))}
    classes = choose_classes(request.classes, list(names.values()))
    class_ids = tuple((group, classes.index(name) + 1) for group, name in names.items() if name in classes)

    def mask_of(image: Path, file: Path) -> ObjectMask:
        return ObjectMask(file, stored_size(image, "ImageJ"), RoiObjects(file, class_ids, taking), "listed")

    sources = painted_pairs(images, files, regions, mask_of, taking)
    without = sum(len(listed) for listed in regions.values()) - len(areas)
    notes = [f"{without} regions are lines, points or text, have no area and were left out"] if without else []
    if alone := sorted(images.keys() - files.keys()):
        notes.append(
            f"{len(alone)} images have no file of regions: {few(alone)}. ImageJ writes none for an image without "
            "objects; leave them out with --pairs-only, or add a mask to the dataset"
        )
    return build_found(root, sources, classes, "ImageJ's regions of interest", tuple(notes))


def _pair(root: Path, files: list[Path], images: dict[str, Path], left_out: LeftOut) -> dict[str, Path]:
    """Return the file of regions of each image that has one."""
    if len(files) == len(images) == 1:
        return {next(iter(images)): files[0]}
    pairs: dict[str, Path] = {}
    alone = []
    for file in files:
        stem = one_form(file.stem)
        stem = Path(stem).stem if Path(stem).suffix.lower() in IMAGE_SUFFIXES else stem
        around = _AROUND.fullmatch(stem)
        name = next((name for name in (stem, around[1] if around else "") if name in images), None)
        if name is None:
            alone.append(file.name)
        elif name in pairs:
            left_out.add(
                DataError(f"{file} and {pairs[name].name} are both of the image '{name}'; put their regions into one")
            )
        else:
            pairs[name] = file
    if alone:
        left_out.add(
            DataError(
                f"{root}: {len(alone)} files of regions are named as no image: {few(alone)}; the images are "
                f"{few(sorted(images)) or 'none'}. Call the file of x.tif x.zip, x.roi or RoiSet_x.zip"
            )
        )
    return pairs


def _roi_files(root: Path, images: Collection[str] = ()) -> list[Path]:
    """Return the files of regions, and archives named as one of `images` that are damaged."""
    found = []
    for folder in (root / name for name in ROI_FOLDERS):
        if folder.is_dir():
            found += [path for path in sorted(folder.glob("[!.]*.roi")) if path.is_file()]
            found += [
                path for path in sorted(folder.glob("[!.]*.zip")) if holds_rois(path) or _is_damaged(path, images)
            ]
    return list(dict.fromkeys(path.resolve() if path.is_symlink() else path for path in found))


def _is_damaged(path: Path, images: Collection[str]) -> bool:
    return one_form(path.stem) in images and path.is_file() and not zipfile.is_zipfile(path)


def _is_root(folder: Path) -> bool:
    return bool(_roi_files(folder)) and bool(images_of(folder))


register(
    Importer(
        name="imagej",
        summary="ImageJ or Fiji: regions of interest, x.roi or x.zip beside the image x",
        expected="images, and x.roi, x.zip or RoiSet_x.zip for the image x",
        is_root=_is_root,
        find=find_imagej,
        options=frozenset({"classes"}),
    )
)
