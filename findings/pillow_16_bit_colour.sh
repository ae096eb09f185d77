#!/bin/sh
# Pillow keeps the high byte of 16-bit colour, so that 12-bit data become 0 to 15, and caps 16-bit grey at 255.
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

print(f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}, tifffile {tifffile.__version__}, numpy {np.__version__}")
colour = np.random.default_rng(0).integers(0, 4096, (20, 30, 3)).astype(np.uint16)
colour[0, 0], colour[0, 1] = 0, 4095
tifffile.imwrite("colour.tif", colour, photometric="rgb")
cv2.imwrite("colour.png", colour[..., ::-1])
tifffile.imwrite("grey.tif", colour[..., 0])
cv2.imwrite("grey.png", colour[..., 0])
print("written: 16 bits a channel, values 0 to 4095")

changed = []
for name in ("colour.png", "colour.tif"):
    whole = np.array_equal(cv2.imread(name, cv2.IMREAD_UNCHANGED)[..., ::-1], colour)
    with Image.open(name) as picture:
        mode, pixels = picture.mode, np.asarray(picture)
    high = np.array_equal(pixels, colour >> 8)
    print(f"{name}: OpenCV returns all: {whole}; Pillow: mode {mode}, {pixels.dtype}, {pixels.min()} to {pixels.max()}")
    if not (whole and mode == "RGB" and pixels.max() == 15 and high):
        changed.append(name)
for name in ("grey.png", "grey.tif"):
    with Image.open(name) as picture:
        mode, pixels = picture.mode, np.asarray(picture)
        eight = np.asarray(picture.convert("L"))
    capped = np.array_equal(eight, np.minimum(colour[..., 0], 255))
    share = (eight == 255).mean()
    print(f"{name}: Pillow: mode {mode}, {pixels.dtype} to {pixels.max()}; as L {share:.0%} of the pixels are 255")
    if not (np.array_equal(pixels, colour[..., 0]) and capped):
        changed.append(name)
print(f"changed: {', '.join(changed)}" if changed else "as described: colour loses its low byte, grey is whole until converted")
sys.exit(bool(changed))
PYTHON
