#!/bin/sh
# pycocotools paints the mirror image of an outline as another shape than the mirror image of its mask.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.3.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import numpy as np
from pycocotools import mask

SIDE = 40
print(f"pycocotools {importlib.metadata.version('pycocotools')}, numpy {np.__version__}")


def paint(corners):
    return mask.decode(mask.frPyObjects([np.ravel(corners).tolist()], SIDE, SIDE))[..., 0]


def compare(corners):
    """Pixels of the mask, and of each mirrored outline's, with how many of them differ from the mirrored mask."""
    corners = np.asarray(corners, float)
    x, y = corners.T
    drawn = paint(corners)
    mirrored = (
        (drawn[:, ::-1], paint(np.stack([SIDE - x, y], 1))),
        (drawn[::-1], paint(np.stack([x, SIDE - y], 1))),
        (drawn.T, paint(corners[:, ::-1])),
    )
    return int(drawn.sum()), [(int(after.sum()), int((before != after).sum())) for before, after in mirrored]


seen = {}
for name, corners in (
    ("square", [[5, 5], [25, 5], [25, 25], [5, 25]]),
    ("triangle of 200 px", [[5, 5], [25, 5], [5, 25]]),
    ("diamond of 450 px", [[20, 5], [35, 20], [20, 35], [5, 20]]),
):
    seen[name] = compare(corners)
    area, found = seen[name]
    turns = zip(("left for right", "upside down", "x for y"), found)
    said = [f"{what} {pixels} px, {other} differ" for what, (pixels, other) in turns]
    print(f"{name}: {area} px; {'; '.join(said)}")
rng = np.random.default_rng(0)
shapes = [compare(rng.integers(4, 36, (4, 2)))[1] for _ in range(1000)]
differ = [sum(other > 0 for _, other in column) for column in zip(*shapes)]
print(f"of 1000 random outlines of four whole-numbered corners differ: {differ}")
as_described = (
    seen["square"] == (400, [(400, 0)] * 3)
    and seen["triangle of 200 px"] == (190, [(190, 0), (210, 20), (190, 0)])
    and seen["diamond of 450 px"] == (450, [(450, 0), (450, 60), (450, 30)])
    and differ[1] > 900
)
print("as described: mirror masks, not outlines" if as_described else "changed")
sys.exit(not as_described)
PYTHON
