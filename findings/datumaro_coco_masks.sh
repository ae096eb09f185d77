#!/bin/sh
# Datumaro exports every mask to COCO as a crowd, and to COCO panoptic no polygon at all.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 pycocotools==2.0.11 numpy==2.2.6 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import json
import sys

import datumaro
import numpy as np

print(*(f"{name} {importlib.metadata.version(name)}" for name in ("datumaro", "pycocotools", "numpy")), sep=", ")
HEIGHT, WIDTH = 20, 30
square = np.zeros((HEIGHT, WIDTH), np.uint8)
square[3:13, 4:14] = 1
outline = [4, 3, 14, 3, 14, 13, 4, 13]
pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def item(name, annotation):
    return datumaro.DatasetItem(name, media=datumaro.Image.from_numpy(pixels), annotations=[annotation])


items = [item("bitmap", datumaro.Mask(square, label=0)), item("polygon", datumaro.Polygon(outline, label=0))]
dataset = datumaro.Dataset.from_iterable(items, categories=["leaf"], media_type=datumaro.Image)
found = {}
for kind in ("instances", "panoptic"):
    dataset.export(kind, f"coco_{kind}", save_media=True)
    with open(f"{kind}/annotations/{kind}_default.json") as file:
        content = json.load(file)
    names = {image["id"]: image["file_name"].partition(".")[0] for image in content["images"]}
    for image, name in names.items():
        rows = [row for row in content["annotations"] if row["image_id"] == image]
        if kind == "panoptic":
            rows = [segment for row in rows for segment in row["segments_info"]]
        found[kind, name] = [row["iscrowd"] for row in rows]
        print(f"coco_{kind}, {name}: objects {len(rows)}, iscrowd {found[kind, name]}")
expected = {
    ("instances", "bitmap"): [1],
    ("instances", "polygon"): [0],
    ("panoptic", "bitmap"): [0],
    ("panoptic", "polygon"): [],
}
print("as described: a single object as a mask is a crowd; a polygon is no segment" if found == expected else "changed")
sys.exit(found != expected)
PYTHON
