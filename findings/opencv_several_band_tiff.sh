#!/bin/sh
# OpenCV and TIFF files of several bands: the first band, other numbers or None, and no error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.3.4 tifffile==2026.3.3 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import os
import sys

os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
import cv2
import numpy as np
import tifffile

print(f"OpenCV {cv2.__version__}, tifffile {tifffile.__version__}, numpy {np.__version__}")
rng = np.random.default_rng(0)


def describe(found, values):
    """What a picture (H, W) or (H, W, K) has to do with the bands (K, H, W) that were written."""
    if found is None:
        return "None"
    planes = found[None] if found.ndim == 2 else np.moveaxis(found, 2, 0)
    if planes.shape == values.shape and np.array_equal(planes, values):
        return "all bands"
    if planes.shape == values.shape and np.array_equal(planes[[2, 1, 0, *range(3, len(planes))]], values):
        return "all bands, first and third exchanged"
    if len(planes) == 1 and planes.dtype == values.dtype and np.array_equal(planes[0], values[0]):
        return "the first band only"
    return f"{found.dtype} {found.shape} of other numbers"


seen = {}
for kind in ("uint8", "uint16", "float32"):
    for bands in (2, 3, 4, 5):
        values = rng.random((bands, 20, 30), dtype=np.float32)
        values = values if kind == "float32" else np.rint(values * np.iinfo(kind).max).astype(kind)
        for layout in ("separate", "contig"):
            pixels = values if layout == "separate" else np.ascontiguousarray(np.moveaxis(values, 0, 2))
            tifffile.imwrite("bands.tif", pixels, photometric="minisblack", planarconfig=layout, metadata=None)
            back = tifffile.imread("bands.tif")
            assert np.array_equal(back if layout == "separate" else np.moveaxis(back, 2, 0), values)
            seen[kind, bands, layout] = describe(cv2.imread("bands.tif", cv2.IMREAD_UNCHANGED), values)
        tifffile.imwrite("pages.tif", values, photometric="minisblack", metadata=None)
        read, pages = cv2.imreadmulti("pages.tif", flags=cv2.IMREAD_UNCHANGED)
        whole = read and len(pages) == bands and all(map(np.array_equal, pages, values))
        seen[kind, bands, "pages"] = "all bands" if whole else "other"

for (kind, bands, layout), what in seen.items():
    call = "imreadmulti" if layout == "pages" else "imread"
    print(f"{kind:8} {bands} {'pages' if layout == 'pages' else 'bands, ' + layout:16} cv2.{call}: {what}")
pages = {what for (_, _, layout), what in seen.items() if layout == "pages"}
others = [what for (_, _, layout), what in seen.items() if layout != "pages"]
as_described = (
    pages == {"all bands"}
    and "all bands" not in others
    and {"None", "the first band only", "all bands, first and third exchanged"} <= set(others)
    and "other numbers" in seen["uint16", 3, "separate"]
    and "uint8" in seen["uint16", 2, "contig"]
)
print("as described" if as_described else "changed")
sys.exit(not as_described)
PYTHON
