#!/bin/sh
# cityscapesscripts makes instance images with Pillow 12, and fails with Pillow 13, which writes no PNG of mode I.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 12.0.0 13.0.0; do
    python3 -m venv "$folder/$version" || exit 2
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check cityscapesscripts==2.3.0 "pillow==$version" numpy==2.3.4 || exit 2
done
cd "$folder"
cat > try.py <<'PYTHON'
import importlib.metadata
import json
import sys
import warnings

import numpy as np
from cityscapesscripts.preparation.json2instanceImg import json2instanceImg
from cityscapesscripts.preparation.json2labelImg import json2labelImg
from PIL import Image

VERSION = importlib.metadata.version("pillow")
warnings.simplefilter("ignore")
car = {"label": "car", "polygon": [[4, 3], [14, 3], [14, 13], [4, 13]]}
with open("polygons.json", "w") as file:
    json.dump({"imgHeight": 20, "imgWidth": 30, "objects": [car]}, file)
found = {}
for make in (json2labelImg, json2instanceImg):
    try:
        make("polygons.json", "made.png")
        with Image.open("made.png") as picture:
            values, counts = np.unique(np.asarray(picture), return_counts=True)
        found[make.__name__] = dict(zip(values.tolist(), counts.tolist()))
    except OSError as error:
        found[make.__name__] = str(error)
print(f"cityscapesscripts {importlib.metadata.version('cityscapesscripts')}, Pillow {VERSION}, numpy {np.__version__}")
for what, came in found.items():
    print(f"  {what}: {came}")
expected = {
    "json2labelImg": {0: 479, 26: 121},
    "json2instanceImg": {0: 479, 26000: 121} if VERSION == "12.0.0" else "cannot write mode I as PNG",
}
print("  as described" if found == expected else "  changed")
sys.exit(found != expected)
PYTHON
for version in 12.0.0 13.0.0; do "$folder/$version/bin/python" try.py || exit 1; done
