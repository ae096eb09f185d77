#!/bin/sh
# labelme paints an outline with all pixels that it touches: 121 px where pycocotools paints 100 for the same corners.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check labelme==6.3.1 pycocotools==2.0.11 numpy==2.2.6 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import numpy as np
from labelme.utils import shapes_to_label
from pycocotools import mask

print(*(f"{name} {importlib.metadata.version(name)}" for name in ("labelme", "pycocotools", "numpy")), sep=", ")
HEIGHT, WIDTH = 40, 50


def paint(*shapes):
    listed = [{"label": name, "points": points, "shape_type": kind, "group_id": None} for name, points, kind in shapes]
    return shapes_to_label((HEIGHT, WIDTH), listed, {"left": 1, "right": 2})[0]


left = [[10, 10], [20, 10], [20, 20], [10, 20]]
right = [[20, 10], [30, 10], [30, 20], [20, 20]]
runs = mask.merge(mask.frPyObjects([np.ravel(left).tolist()], HEIGHT, WIDTH))
both = paint(("left", left, "polygon"), ("right", right, "polygon"))
turned = paint(("right", right, "polygon"), ("left", left, "polygon"))
found = {
    "a square from 10 to 20": int(paint(("left", left, "polygon")).sum()),
    "the same by pycocotools": int(mask.decode(runs).sum()),
    "the left of two squares with a common edge": int((both == 1).sum()),
    "the same, listed last": int((turned == 1).sum()),
    "a line from 10,10 to 20,20": int(paint(("left", [[10, 10], [20, 20]], "line")).sum()),
    "a point": int(paint(("left", [[20, 20]], "point")).sum()),
}
for what, pixels in found.items():
    print(f"{what}: {pixels} px")
as_described = list(found.values()) == [121, 100, 110, 121, 158, 97]
print("as described" if as_described else "changed")
sys.exit(not as_described)
PYTHON
