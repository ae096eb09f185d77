"""PASCAL VOC: JPEGImages/, SegmentationClass/ of palette indices, and lists of images in ImageSets/Segmentation/.

Format: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2015,
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/. 255 is the border of objects, which nobody labelled. Names come from
class_names.txt or labels.txt if one is there, as labelme's converter writes it, else they are those of VOC if there are
lists and the masks have its palette or its colours; labelme has the same palette for other classes, and no lists.
Folders with a labelmap.txt are CVAT's, and of another layout.
"""

from pathlib import Path

from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.names import one_form
from naslora_core.data.dataset.splits import TEST, TRAIN, VALIDATION
from naslora_core.data.importers.base import MASK_OPTIONS, Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.legends.files import read_names
from naslora_core.data.importers.legends.known import voc, voc_colour
from naslora_core.data.importers.legends.legend import Legend
from naslora_core.data.importers.reading.read_masks import read_masks, with_reading
from naslora_core.data.importers.reading.survey import Survey, survey_masks
from naslora_core.data.importers.shared.object_formats import build_found
from naslora_core.errors import DataError

IMAGES = "JPEGImages"
# labelme's older converter keeps arrays in SegmentationClass.
MASKS = ("SegmentationClassPNG", "SegmentationClass")
LISTS = Path("ImageSets", "Segmentation")
NAME_FILES = ("class_names.txt", "labels.txt")
PARTS = {"train": TRAIN, "val": VALIDATION, "test": TEST}


def find_voc(request: ImportRequest) -> Found:
    """Pair the masks with their images, in the splits of the lists.

    Raises:
        DataError: if a list names an image twice or one that is not there, or the values of the masks have no names.
        ConfigError: if a class is asked for that the legend does not name.
    """
    root = request.folder
    images, masks = list_images(root / IMAGES), list_images(_masks_of(root))
    if not masks:
        raise DataError(f"{_masks_of(root)} holds no image file; expected PNG files named as those of {IMAGES}")
    listed = _read_lists(root)
    names = sorted(listed.keys() | (set() if listed else masks.keys()))
    # Lists name images for testing whose masks are not published, and other tasks' images have no mask.
    unpublished = {name for name, split in listed.items() if split == TEST and name not in masks}
    names = [name for name in names if name not in unpublished]
    for name in [name for name in names if name not in images and name not in masks]:
        request.left_out.add(
            DataError(f"{root / LISTS} lists '{name}', which is neither in {IMAGES} nor has a mask; remove it")
        )
        names.remove(name)
    sources = [Source(name, images.get(name), masks.get(name), listed.get(name)) for name in names]
    others = len(images.keys() - set(names))
    unlisted = len(masks.keys() - set(names))
    notes = [f"{others} images have no mask, or are on no list, and were left out"] if others else []
    notes += [f"{unlisted} masks are on no list of {LISTS} and were left out"] if unlisted else []
    survey = survey_masks([path for name in names if (path := masks.get(name))], request.progress)
    pairs = build_found(root, sources, (), "the layout of PASCAL VOC", tuple(notes))
    return with_reading(pairs, read_masks(sources, request, _legend(root, survey), survey))


def _read_lists(root: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for part, split in PARTS.items():
        file = root / LISTS / f"{part}.txt"
        if not file.is_file():
            continue
        try:
            lines = file.read_text(encoding="utf-8-sig").split()
        except UnicodeDecodeError as error:
            raise DataError(f"{file} is not text in UTF-8: {error}; get it once more") from error
        for name in map(one_form, lines):
            if splits.setdefault(name, split) != split:
                raise DataError(f"{file}: '{name}' is on another list of {LISTS} as well; remove it from one")
    return splits if TRAIN in splits.values() else {}


def _legend(root: Path, survey: Survey) -> Legend | None:
    """Return the legend of the layout: that of a file of names, or that of VOC; None if nothing names the values."""
    if listed := next((file for name in NAME_FILES if (file := root / name).is_file()), None):
        by_value = read_names(listed).by_value
        return Legend(str(listed), by_value, {voc_colour(value): name for value, name in by_value.items()})
    palette = survey.tallies.get("palette", {})
    of_voc = all(tally.colours <= {voc_colour(value)} for value, tally in palette.items() if value)
    has_lists = (root / LISTS).is_dir()
    return voc() if has_lists and (palette or "colours" in survey.forms) and of_voc else None


def _masks_of(root: Path) -> Path:
    return next((root / name for name in MASKS if (root / name).is_dir()), root / MASKS[-1])


def _is_root(folder: Path) -> bool:
    return (folder / IMAGES).is_dir() and _masks_of(folder).is_dir() and not (folder / "labelmap.txt").is_file()


def _is_unmistakable(root: Path) -> bool:
    """Say whether it is VOC's layout, and not plain folders under the names that VOC uses."""
    return (root / LISTS).is_dir() or any((root / name).is_file() for name in NAME_FILES)


register(
    Importer(
        name="voc",
        summary="PASCAL VOC: JPEGImages, SegmentationClass and lists of images",
        expected=f"{IMAGES}/ and SegmentationClass/, maybe {LISTS}/, and no labelmap.txt",
        is_root=_is_root,
        find=find_voc,
        options=MASK_OPTIONS,
        is_unmistakable=_is_unmistakable,
    )
)
