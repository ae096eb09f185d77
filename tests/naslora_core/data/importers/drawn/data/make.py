"""Write the files beside this one with the tools themselves; no test runs it.

In an environment with labelme, label-studio-sdk, datumaro and pycocotools: QT_QPA_PLATFORM=offscreen python make.py
"""

import base64
import io
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
HEIGHT, WIDTH = 32, 40
LEAF, SPOT = "leaf", "spot"
DISC = [(20 + 9.3 * math.cos(2 * math.pi * n / 24), 16 + 9.3 * math.sin(2 * math.pi * n / 24)) for n in range(24)]


def box(x0, y0, x1, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


# By name of the image: class, corners and z_order of each object; the list is in the order in which tools store them.
CASES = {
    "square": [(LEAF, box(10, 8, 20, 18), 0)],
    "disc": [(LEAF, DISC, 0)],
    # An outline that runs into the hole and back, as people draw it where a tool has no holes.
    "hole": [(LEAF, [(8, 6), (30, 6), (30, 26), (8, 26), (8, 6), (14, 12), (14, 20), (24, 20), (24, 12), (14, 12)], 0)],
    "two_parts": [(LEAF, box(3, 3, 9, 9), 0), (LEAF, box(20, 15, 33, 28), 0)],
    "line": [(LEAF, box(5, 10, 35, 11), 0)],
    "touching": [(LEAF, box(5, 5, 15, 20), 0), (LEAF, box(15, 5, 28, 20), 0)],
    "overlapping": [(LEAF, box(5, 5, 20, 20), 1), (SPOT, box(12, 12, 30, 28), 0)],
    "border": [(LEAF, [(0, 0), (12, 0), (0, 12)], 0), (SPOT, box(30, 22, 40, 32), 0)],
    "empty": [],
    # No tenths: pycocotools works in fifths of a pixel, and rounds a tie either way in numbers of 32 and of 64 bits.
    "two_classes": [
        (SPOT, [(4.37, 3.31), (18.72, 5.24), (10.13, 17.88)], 0),
        (LEAF, [(22.53, 20.51), (38, 9), (37, 30.62)], 0),
    ],
}


def grids():
    """Masks that tools store as pixels, (H, W) bool by name; the hole is one."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    found = {}
    for name, objects in CASES.items():
        found[name] = []
        for label, corners, z_order in objects:
            x, y = np.array(corners).T
            inside = (columns >= x.min()) & (columns < x.max()) & (rows >= y.min()) & (rows < y.max())
            if name == "disc":
                inside = (columns - 20) ** 2 + (rows - 16) ** 2 <= 9.3**2
            if name == "hole":
                inside &= ~((columns >= 14) & (columns < 24) & (rows >= 12) & (rows < 20))
            found[name].append((label, inside, z_order))
    return found


def stack(masks, path):
    """Keep the tool's own masks, one below the other in the order of CASES."""
    pixels = np.concatenate([masks[name] for name in CASES]).astype(np.uint8)
    Image.fromarray(pixels).save(path, "PNG", optimize=True)


def picture(path):
    Image.new("L", (WIDTH, HEIGHT), 128).save(path)


def png(mask):
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).convert("1").save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def make_labelme():
    from labelme import utils
    from labelme._label_file import read_label_file, write_label_file

    values = {"__ignore__": 255, "_background_": 0, LEAF: 1, SPOT: 2}
    extra = {
        "circle": [(LEAF, [(20, 16), (25.5, 19.2)], "circle")],
        "rectangle": [(LEAF, [(30.6, 20.2), (10.4, 8.7)], "rectangle")],
        "lines": [(LEAF, [(5, 5), (33, 9)], "line"), (SPOT, [(6, 25), (20, 20), (34, 27)], "linestrip")],
        "point": [(SPOT, [(11, 13)], "point")],
        "ignored": [(LEAF, box(3, 3, 30, 28), "polygon"), ("__ignore__", box(8, 8, 20, 20), "polygon"),
                    ("_background_", [(22, 10), (26, 20)], "rectangle")],
    }  # fmt: skip
    drawn = {name: [(label, corners, "polygon") for label, corners, _ in objects] for name, objects in CASES.items()}
    for folder, cases in (("polygons", drawn), ("kinds", extra), ("masks", grids())):
        target = HERE / "labelme" / folder
        target.mkdir(parents=True)
        masks = []
        for name, objects in cases.items():
            shapes = []
            for label, corners, kind in objects:
                common = {"label": label, "group_id": None, "description": "", "flags": {}}
                if folder == "masks":
                    y, x = np.nonzero(corners)
                    part = corners[y.min() : y.max() + 1, x.min() : x.max() + 1]
                    ends = [[int(x.min()), int(y.min())], [int(x.max()), int(y.max())]]
                    shapes.append(common | {"points": ends, "shape_type": "mask", "mask": png(part)})
                else:
                    points = [[float(x), float(y)] for x, y in corners]
                    shapes.append(common | {"points": points, "shape_type": kind, "mask": None})
            stream = io.BytesIO()
            Image.new("L", (WIDTH, HEIGHT), 128).save(stream, "PNG")
            file = target / f"{name}.json"
            write_label_file(str(file), shapes=shapes, image_path=f"{name}.png", image_height=HEIGHT,
                             image_width=WIDTH, image_data=stream.getvalue())  # fmt: skip
            loaded = read_label_file(str(file)).shapes
            masks.append(utils.shapes_to_label((HEIGHT, WIDTH), loaded, values)[0])
        Image.fromarray(np.concatenate(masks).astype(np.uint8)).save(target / "masks.tool", "PNG", optimize=True)


def datumaro_items(as_masks, colours=None):
    from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, MaskCategories, Polygon
    from datumaro.components.dataset import Dataset
    from datumaro.components.dataset_base import DatasetItem
    from datumaro.components.media import Image as Media

    labels = ["background", LEAF, SPOT] if colours else [LEAF, SPOT]
    categories = {AnnotationType.label: LabelCategories.from_iterable(labels)}
    if colours:
        categories[AnnotationType.mask] = MaskCategories(dict(enumerate(colours)))
    items = []
    drawn = grids() if as_masks else CASES
    for number, (name, objects) in enumerate(drawn.items()):
        entries = []
        for label, shape, z_order in objects:
            common = {"label": labels.index(label), "z_order": z_order, "group": 0}
            flat = None if as_masks else [float(value) for corner in shape for value in corner]
            entries.append(Mask(shape, **common) if as_masks else Polygon(flat, **common))
        media = Media.from_numpy(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), ext=".png")
        subset = ("train", "val")[number % 2]
        items.append(DatasetItem(name, subset=subset, media=media, annotations=entries, attributes={"frame": number}))
    return Dataset.from_iterable(items, categories=categories)


def datumaro_masks(dataset):
    """Class ids as Datumaro merges them."""
    from datumaro.components.annotation import CompiledMask, Mask

    masks = {}
    for item in dataset.transform("polygons_to_masks"):
        objects = [entry for entry in item.annotations if isinstance(entry, Mask)]
        masks[item.id] = np.zeros((HEIGHT, WIDTH), np.uint8)
        if objects:
            numbers = [one.label + 1 for one in objects]
            masks[item.id] = CompiledMask.from_instance_masks(objects, instance_labels=numbers).class_mask
    return masks


def cvat_back(folder):
    """Read CVAT's XML; Datumaro needs images for their size."""
    from datumaro.components.dataset import Dataset

    (Path(folder) / "images").mkdir(exist_ok=True)
    for name in CASES:
        picture(Path(folder) / "images" / f"{name}.png")
    parts = [Dataset.import_from(str(file), "cvat") for file in sorted(Path(folder).glob("*.xml"))]
    return Dataset.from_extractors(*parts)


def make_datumaro():
    from datumaro.components.dataset import Dataset

    for folder, as_masks in (("polygons", False), ("masks", True)):
        for tool in ("datumaro", "cvat"):
            target = HERE / tool / folder
            with tempfile.TemporaryDirectory() as temporary:
                datumaro_items(as_masks).export(temporary, tool, save_media=False)
                shutil.copytree(temporary, target, ignore=lambda _, names: [n for n in names if n == "images"])
                # What it makes of the file, not of its own objects: the XML keeps two decimals of a corner.
                stored = Dataset.import_from(temporary, tool) if tool == "datumaro" else cvat_back(temporary)
                stack(datumaro_masks(stored), target / "masks.tool")
    # The dark green has no channel of 128: a threshold would lose it.
    colours = [(0, 0, 0), (51, 221, 255), (48, 112, 32)]
    for folder, chosen in (("coloured", colours), ("plain", None)):
        target = HERE / "cvat_masks" / folder
        dataset = datumaro_items(False, chosen).transform("polygons_to_masks")
        dataset.export(target, "voc_segmentation", save_media=False, label_map="source")
        shutil.rmtree(target / "SegmentationObject")
        stack(datumaro_masks(datumaro_items(False)), target / "masks.tool")


def main():
    for tool in ("labelme", "datumaro", "cvat", "cvat_masks"):
        shutil.rmtree(HERE / tool, ignore_errors=True)
    make_labelme()
    make_datumaro()


if __name__ == "__main__":
    main()
