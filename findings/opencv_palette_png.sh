#!/bin/sh
# OpenCV returns no palette index of a PNG or TIFF, whichever flag is given.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.3.4 pillow==12.0.0 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import PIL
from PIL import Image

print(f"OpenCV {cv2.__version__}, Pillow {PIL.__version__}, numpy {np.__version__}")
ids = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)
picture = Image.fromarray(ids)
picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
for name in ("mask.png", "mask.tif"):
    picture.save(name)
Image.fromarray(ids).save("grey.png")
print(f"written: {ids.tolist()} with the colours of VOC: black, dark red, dark green, olive")

wrong = []
for name in ("mask.png", "mask.tif"):
    with Image.open(name) as back:
        print(f"{name}: mode {back.mode}, Pillow returns {np.asarray(back).tolist()}")
    for flag in ("IMREAD_UNCHANGED", "IMREAD_GRAYSCALE", "IMREAD_ANYDEPTH", "IMREAD_COLOR"):
        found = cv2.imread(name, getattr(cv2, flag))
        print(f"  cv2.{flag}: shape {found.shape}, first row {found[0].tolist()}")
        if found.ndim == 2 and np.array_equal(found, ids):
            wrong.append(f"{flag} returns the indices of {name}")
plain = cv2.imread("grey.png", cv2.IMREAD_UNCHANGED)
print(f"grey.png without a palette: {plain.tolist()}")
if not np.array_equal(plain, ids):
    wrong.append("a grey PNG is not returned as it is")
print("changed: " + "; ".join(wrong) if wrong else "as described: colours or grey values made of them, never the indices")
sys.exit(bool(wrong))
PYTHON
