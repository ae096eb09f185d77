#!/bin/sh
# label-studio-sdk's brush labels to COCO lose a row and a column, lines of one pixel, and holes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 pycocotools==2.0.11 numpy==2.2.6 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import json
import sys

import numpy as np
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.brush import encode_rle
from pycocotools import mask

print(*(f"{name} {importlib.metadata.version(name)}" for name in ("label-studio-sdk", "pycocotools", "numpy")), sep=", ")
HEIGHT, WIDTH = 20, 30
square = np.zeros((HEIGHT, WIDTH), np.uint8)
square[3:13, 4:14] = 1
ring = square.copy()
ring[6:9, 7:10] = 0
line = np.zeros((HEIGHT, WIDTH), np.uint8)
line[5, 3:20] = 1
masks = {"square": square, "ring": ring, "line": line}


def task(number, name):
    """A task with one brush stroke, as Label Studio's JSON export has it."""
    runs = list(encode_rle(np.repeat(masks[name].ravel() * 255, 4).astype(np.uint8)))
    region = {
        "id": name, "from_name": "brush", "to_name": "image", "type": "brushlabels", "image_rotation": 0,
        "original_width": WIDTH, "original_height": HEIGHT,
        "value": {"format": "rle", "rle": runs, "brushlabels": ["leaf"]},
    }
    annotation = {"id": number, "result": [region], "was_cancelled": False, "completed_by": 1}
    return {"id": number, "data": {"image": f"/data/{name}.png"}, "annotations": [annotation]}


with open("tasks.json", "w") as file:
    json.dump([task(number, name) for number, name in enumerate(masks, 1)], file)
config = """<View><Image name="image" value="$image"/>
<BrushLabels name="brush" toName="image"><Label value="leaf"/></BrushLabels></View>"""
Converter(config, ".", download_resources=False).convert("tasks.json", "out", "BRUSH_TO_COCO", is_dir=False)
with open("out/result_coco.json") as file:
    content = json.load(file)
names = {image["id"]: image["file_name"].partition(".")[0] for image in content["images"]}
found = dict.fromkeys(masks, 0)
for annotation in content["annotations"]:
    whole = mask.merge(mask.frPyObjects(annotation["segmentation"], HEIGHT, WIDTH))
    found[names[annotation["image_id"]]] += int(mask.decode(whole).sum())
for name, drawn in masks.items():
    print(f"{name}: drawn {drawn.sum()} px, in COCO {found[name]} px, image listed: {name in names.values()}")
as_described = found == {"square": 81, "ring": 81, "line": 0} and set(names.values()) == {"square", "ring"}
print("as described: an image whose only stroke is a line is not listed either" if as_described else "changed")
sys.exit(not as_described)
PYTHON
