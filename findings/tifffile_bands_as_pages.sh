#!/bin/sh
# tifffile writes (H, W, 4) as H pages of W x 4 pixels if photometric is minisblack and planarconfig is left out.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check tifffile==2026.3.3 numpy==2.3.4 pillow==13.0.0 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

print(f"tifffile {tifffile.__version__}, Pillow {PIL.__version__}, numpy {np.__version__}")
seen = {}
for bands in (2, 3, 4, 5):
    values = np.zeros((20, 30, bands), np.uint8)
    for name, options in (
        ("nothing", {}),
        ("photometric", {"photometric": "minisblack"}),
        ("both", {"photometric": "minisblack", "planarconfig": "contig"}),
    ):
        tifffile.imwrite("bands.tif", values, **options)
        with tifffile.TiffFile("bands.tif") as file:
            pages, samples = len(file.pages), file.pages[0].samplesperpixel
            assert file.series[0].shape == values.shape
        seen[bands, name] = (pages, samples)
        size = ""
        if pages > 1:
            with Image.open("bands.tif") as picture:
                size = f"; Pillow opens a picture {picture.width} wide and {picture.height} high"
        print(f"(20, 30, {bands}), given {name}: pages {pages}, bands {samples}{size}")
as_described = all(
    seen[bands, "photometric"] == (20, 1) and seen[bands, "both"] == (1, bands) for bands in (2, 3, 4, 5)
)
print("as described: a page for each row, unless planarconfig is given" if as_described else "changed")
sys.exit(not as_described)
PYTHON
