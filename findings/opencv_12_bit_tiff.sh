#!/bin/sh
# OpenCV returns a TIFF of 12 bits a pixel without gaps times 16.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check tifffile==2026.3.3 imagecodecs==2026.3.6 opencv-python-headless==5.0.0.93 numpy==2.3.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import tifffile

print(f"OpenCV {cv2.__version__}, tifffile {tifffile.__version__}, numpy {np.__version__}")
values = np.arange(0, 4096, 13, dtype=np.uint16)[:300].reshape(10, 30)
seen = {}
for bits in (12, 16):
    tifffile.imwrite("grey.tif", values, bitspersample=bits, photometric="minisblack")
    with tifffile.TiffFile("grey.tif") as file:
        stored = file.pages[0].bitspersample
        assert np.array_equal(file.asarray(), values)
    back = cv2.imread("grey.tif", cv2.IMREAD_UNCHANGED)
    found = "None" if back is None else f"{back.dtype}, {back.min()} to {back.max()}"
    times = None if back is None else next((k for k in (1, 16) if np.array_equal(back, values * k)), None)
    seen[stored] = times
    print(f"{stored} bits, values 0 to {values.max()}: tifffile returns them, OpenCV {found}: times {times}")
as_described = seen == {12: 16, 16: 1}
print("as described" if as_described else "changed")
sys.exit(not as_described)
PYTHON
