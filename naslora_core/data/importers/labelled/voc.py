"""PASCAL VOC: JPEGImages/, SegmentationClass/ of palette indices, and lists of images in ImageSets/Segmentation/.

Format: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2015,
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/. 255 is the border of objects, which nobody labelled. Names come from
class_names.txt or labels.txt if one is there, as labelme's converter writes it, else they are those of VOC if there are
lists and the masks have its palette or its colours; labelme has the same palette for other classes, and no lists.
Folders with a labelmap.txt are CVAT's, and of another layout.
"""

from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID
from naslora_core.data.dataset.dataset import list_images
from naslora_core.data.dataset.image_files.pixels import load_picture
from naslora_core.data.dataset.splits import TEST, TRAIN, VALIDATION
from naslora_core.data.importers.base import Found, Importer, ImportRequest, Source, register
from naslora_core.data.importers.labelled.readers.label_values import ValueLegend, found_by_values
from naslora_core.errors import DataError

IMAGES = "JPEGImages"
# labelme's older converter keeps arrays in SegmentationClass.
MASKS = ("SegmentationClassPNG", "SegmentationClass")
LISTS = Path("ImageSets", "Segmentation")
NAME_FILES = ("class_names.txt", "labels.txt")
# In the order of their ids, from 1 on.
NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
PARTS = {"train": TRAIN, "val": VALIDATION, "test": TEST}
# So many entries of a palette are no accident.
_COMPARED = 21


def voc_colour(number: int) -> int:
    """Return the colour 0xRRGGBB of an index, 0..255, in the palette of VOC.

    The bits of the index go in turn to red, green and blue, from the highest bit of each downwards.
    """
    levels = [0, 0, 0]
    for bit in range(8):
        levels[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return levels[0] << 16 | levels[1] << 8 | levels[2]


def find_voc(request: ImportRequest) -> Found:
    """Pair the masks with their images, in the splits of the lists.

    Raises:
        DataError: if a list names an image twice or one that is not there, or the values of the masks have no names.
        ConfigError: if a class is asked for that no mask shows.
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
    if missing := [name for name in names if name not in images and name not in masks]:
        raise DataError(f"{root / LISTS} lists '{missing[0]}', which is neither in {IMAGES} nor has a mask; remove it")
    sources = [Source(name, images.get(name), masks.get(name), listed.get(name)) for name in names]
    others = len(images.keys() - set(names))
    unlisted = len(masks.keys() - set(names))
    notes = [f"{others} images have no mask, or are on no list, and were left out"] if others else []
    notes += [f"{unlisted} masks are on no list of {LISTS} and were left out"] if unlisted else []
    legend = _legend(root, [path for name, path in masks.items() if name in set(names)], request)
    request = request if not any(request.classes.values()) else _without_values(request)
    return found_by_values(sources, legend, request, "the layout of PASCAL VOC", notes)


def _without_values(request: ImportRequest) -> ImportRequest:
    names: dict[str, tuple[int, ...] | tuple[str, ...]] = {name: () for name in request.classes if name != BACKGROUND}
    return ImportRequest(**{**vars(request), "classes": names})


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
        for name in lines:
            if splits.setdefault(name, split) != split:
                raise DataError(f"{file}: '{name}' is on another list of {LISTS} as well; remove it from one")
    return splits if TRAIN in splits.values() else {}


def _legend(root: Path, masks: list[Path], request: ImportRequest) -> ValueLegend:
    if any(request.classes.values()):
        # The user explains the values, as with layout folder.
        given = {value: name for name, values in request.classes.items() for value in values}
        if any(isinstance(value, str) for value in given):
            colours = {int(str(value)[1:], 16): name for value, name in given.items()}
            return ValueLegend("--class", colours, frozenset({voc_colour(IGNORED_ID)} - colours.keys()), coloured=True)
        names = {int(value): name for value, name in given.items()}
        return ValueLegend("--class", names, frozenset({IGNORED_ID} - names.keys()))
    coloured = bool(masks) and load_picture(masks[0]).mode in ("RGB", "RGBA")
    listed = next((file for name in NAME_FILES if (file := root / name).is_file()), None)
    if listed is not None:
        names = _read_names(listed)
    elif (root / LISTS).is_dir() and (coloured or (masks and has_voc_palette(masks[0]))):
        names = dict(enumerate((BACKGROUND, *NAMES)))
    else:
        raise DataError(
            f"{masks[0] if masks else root}: nothing names the values of the masks, as they have not the palette of "
            f"VOC, or {LISTS} is not there. Write {NAME_FILES[0]} into {root} (lines: __ignore__, _background_, "
            "then a class a line), or say what the values mean: --class a=1 --class b=2"
        )
    ignored = IGNORED_ID
    if coloured:
        names, ignored = {voc_colour(value): name for value, name in names.items()}, voc_colour(IGNORED_ID)
    source = str(listed) if listed else "the palette of VOC"
    return ValueLegend(source, names, frozenset({ignored}), coloured)


def _read_names(file: Path) -> dict[int, str]:
    """Return the names by value; the list begins with __ignore__ (-1), _background_ (0), or the first class (1)."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not text in UTF-8: {error}; save it as such") from error
    plain = [BACKGROUND if line.strip("_").lower() == BACKGROUND else line for line in lines]
    first = -1 if plain[:1] == ["__ignore__"] else 0 if plain[:1] == [BACKGROUND] else 1
    names = {value: name for value, name in enumerate(plain, start=first) if value >= 0}
    if not names or len(names) > IGNORED_ID or len(set(names.values())) < len(names):
        raise DataError(f"{file} has {len(names)} names; expected 1 to {IGNORED_ID}, each once")
    return names


def has_voc_palette(mask: Path) -> bool:
    """Return whether a file has the colours of VOC in its palette.

    Raises:
        DataError: if it cannot be read.
    """
    picture = load_picture(mask)
    flat = picture.getpalette() or [] if picture.mode == "P" else []
    found = [flat[3 * index] << 16 | flat[3 * index + 1] << 8 | flat[3 * index + 2] for index in range(len(flat) // 3)]
    # Pillow keeps as much of a palette as is used.
    return len(found) > 1 and all(
        colour == voc_colour(index) for index, colour in enumerate(found[:_COMPARED]) if colour
    )


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
        options=frozenset({"classes"}),
        is_unmistakable=_is_unmistakable,
    )
)
