"""Layouts with a file of labels for every image: masks, arrays, regions and outlines, found, painted and read back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz.harness import Files
from tests.fuzz.seeds import SIDE, as_json, as_npy, mask, picture
from tests.fuzz.targets.importers import register

REAL = Path(__file__).parents[2] / "naslora_core" / "data" / "importers" / "labelled" / "real"
SQUARE = {"type": "Polygon", "coordinates": [[[1, 1], [6, 1], [6, 6], [1, 6], [1, 1]]]}
FEATURES = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "geometry": SQUARE, "properties": {"classification": {"name": "a", "color": [1, 2, 3]}}},
        {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [SQUARE["coordinates"]]}},
    ],
}
DATASET = {"labels": {"background": 0, "cell": 1, "ignore": 2}, "file_ending": ".png"}
TABLE = b"Pixel Value, Class\n0, background\n1, apple\n"
ARRAY = np.eye(SIDE, dtype=np.uint8)


def beside(made: Callable[[int], dict[str, bytes]]) -> Files:
    """Return three images, and what a function makes for each of their numbers."""
    files = {f"{number}.png": picture(".png", seed=number) for number in (1, 2, 3)}
    for number in (1, 2, 3):
        files |= made(number)
    return files


def regions(scene: str) -> bytes:
    return (REAL / "imagej" / f"{scene}.zip").read_bytes()


def cities() -> Files:
    files = {}
    for part, number in (("train", 1), ("train", 2), ("val", 3)):
        files[f"leftImg8bit/{part}/a/{number}_leftImg8bit.png"] = picture(".png", seed=number)
        files[f"gtFine/{part}/a/{number}_gtFine_labelIds.png"] = mask(high=7)
    return files


def voc() -> Files:
    files = {f"JPEGImages/{number}.jpg": picture(".jpg", seed=number) for number in (1, 2, 3)}
    files |= {f"SegmentationClass/{number}.png": mask(high=1) for number in (1, 2, 3)}
    lists = {"train": b"1\n2\n", "val": b"3\n"}
    files |= {f"ImageSets/Segmentation/{part}.txt": names for part, names in lists.items()}
    return files | {"class_names.txt": b"__ignore__\n_background_\na\nb\n"}


def objects() -> Files:
    files = {}
    for name in ("a", "b", "c"):
        files[f"{name}/images/{name}.png"] = picture(".png", seed=ord(name))
        files |= {f"{name}/masks/{number}.png": mask() for number in (1, 2)}
    return files


LAYOUTS: dict[str, Callable[[], list[Files]]] = {
    "object_masks": lambda: [objects()],
    "cellpose": lambda: [beside(lambda n: {f"{n}_cp_masks.png": mask(high=n)})],
    "imagej": lambda: [
        beside(lambda n: {f"{n}.zip": regions(("rotated", "touching", "hole")[n - 1])}),
        beside(lambda n: {f"RoiSet_{n}.zip": regions(("subpixel", "traced", "border")[n - 1])}),
    ],
    "qupath": lambda: [beside(lambda n: {f"{n}.geojson": as_json(FEATURES)})],
    "roboflow_masks": lambda: [
        {f"train/{name}": content for name, content in beside(lambda n: {f"{n}_mask.png": mask(high=1)}).items()}
        | {"train/_classes.csv": TABLE}
    ],
    "voc": lambda: [voc()],
    "cityscapes": lambda: [cities()],
    "nnunet": lambda: [
        {f"imagesTr/{n}_0000.png": picture(".png", seed=n) for n in (1, 2, 3)}
        | {f"labelsTr/{n}.png": mask(high=1) for n in (1, 2, 3)}
        | {"dataset.json": as_json(DATASET)}
    ],
    "label_arrays": lambda: [beside(lambda n: {f"{n}.npy": as_npy(ARRAY)})],
}

for name, made in LAYOUTS.items():
    register(name, made)
