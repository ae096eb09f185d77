#!/bin/sh
# tifffile writes boolean arrays with zero as white, and readers differ in what they make of such a file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check tifffile==2026.3.3 opencv-python-headless==5.0.0.93 numpy==2.3.4 pillow==13.0.0 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

print(f"tifffile {tifffile.__version__}, Pillow {PIL.__version__}, OpenCV {cv2.__version__}, numpy {np.__version__}")
mask = np.zeros((4, 6), bool)
mask[1:3, 1:4] = True
print(f"an object of {mask.sum()} of {mask.size} pixels; stored each time as what tifffile returns again:")


def high(pixels):
    """How many pixels are above half of the largest value that occurs."""
    return int((pixels.astype(float) > pixels.max() / 2).sum())


seen = {}
for name, values, options in (
    ("bool", mask, {}),
    ("uint8", mask.astype(np.uint8) * 255, {}),
    ("uint8, WhiteIsZero", mask.astype(np.uint8) * 255, {"photometric": "miniswhite"}),
    ("uint16, WhiteIsZero", mask.astype(np.uint16) * 65535, {"photometric": "miniswhite"}),
):
    tifffile.imwrite("mask.tif", values, **options)
    with tifffile.TiffFile("mask.tif") as file:
        page = file.pages[0]
        assert np.array_equal(page.asarray(), values)
        photometric = page.photometric.name
    with Image.open("mask.tif") as picture:
        mode, pillow = picture.mode, high(np.asarray(picture))
    opencv = high(cv2.imread("mask.tif", cv2.IMREAD_UNCHANGED))
    seen[name] = (photometric, pillow, opencv)
    print(f"  {name}: photometric {photometric}; object pixels: Pillow ({mode}) {pillow}, OpenCV {opencv}")
as_described = seen == {
    "bool": ("MINISWHITE", 18, 18),
    "uint8": ("MINISBLACK", 6, 6),
    "uint8, WhiteIsZero": ("MINISWHITE", 18, 18),
    "uint16, WhiteIsZero": ("MINISWHITE", 6, 6),
}
print("as described: object and background exchanged, but not at 16 bits" if as_described else "changed")
sys.exit(not as_described)
PYTHON
