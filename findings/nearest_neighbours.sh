#!/bin/sh
# Nearest neighbours are other pixels for OpenCV, SciPy and Pillow: halving keeps the other half of the lines of a mask.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 scipy==1.16.3 pillow==13.0.0 numpy==2.3.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import PIL
import scipy
from PIL import Image

print(f"OpenCV {cv2.__version__}, SciPy {scipy.__version__}, Pillow {PIL.__version__}, numpy {np.__version__}")


def pillow(row, size):
    return np.asarray(Image.fromarray(row[None]).resize((size, 1), Image.Resampling.NEAREST))[0]


def opencv(row, size, way=cv2.INTER_NEAREST):
    return cv2.resize(row[None], (size, 1), interpolation=way)[0]


WAYS = {
    "Pillow NEAREST": pillow,
    "OpenCV INTER_NEAREST": opencv,
    "OpenCV INTER_NEAREST_EXACT": lambda row, size: opencv(row, size, cv2.INTER_NEAREST_EXACT),
    "SciPy zoom, order 0": lambda row, size: scipy.ndimage.zoom(row, size / len(row), order=0),
}
SIZES = ((8, 4), (10, 7), (7, 10), (640, 512))
picked = {}
for before, after in SIZES:
    row = np.arange(before, dtype=np.float32)
    for name, resize in WAYS.items():
        columns = resize(row, after).astype(int).tolist()
        picked[name, before, after] = columns
        if after <= 10:
            print(f"{before} to {after}: {name} takes the columns {columns}")
share = np.mean(np.array(picked["Pillow NEAREST", 640, 512]) != np.array(picked["OpenCV INTER_NEAREST", 640, 512]))
print(f"640 to 512: Pillow and OpenCV take other columns in {share:.0%}")
lines = np.zeros(64, np.float32)
lines[1::4] = 1
left = {name: int((resize(lines, 32) > 0).sum()) for name, resize in WAYS.items()}
print(f"16 lines of one pixel, 64 to 32: left {left}")
as_described = (
    picked["Pillow NEAREST", 8, 4] == [1, 3, 5, 7]
    and picked["OpenCV INTER_NEAREST", 8, 4] == [0, 2, 4, 6]
    and share == 0.5
    and left["Pillow NEAREST"] == 16
    and left["OpenCV INTER_NEAREST"] == 0
    and all(picked["OpenCV INTER_NEAREST_EXACT", *size] == picked["Pillow NEAREST", *size] for size in SIZES)
    and picked["SciPy zoom, order 0", 8, 4] == [0, 2, 5, 7]
)
print("as described" if as_described else "changed")
sys.exit(not as_described)
PYTHON
