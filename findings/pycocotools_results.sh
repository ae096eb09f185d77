#!/bin/sh
# pycocotools and results: what loadRes and COCOeval need, in two versions.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 2.0.10 2.0.11; do
    python3 -m venv "$folder/$version" || exit 2
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "pycocotools==$version" numpy==2.3.4 || exit 2
done
cd "$folder"
cat > try.py <<'PYTHON'
import contextlib
import importlib.metadata
import io
import json
import sys

import numpy as np
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

VERSION = importlib.metadata.version("pycocotools")
drawn = np.zeros((20, 30), np.uint8)
drawn[3:9, 4:12] = 1
encoded = mask.encode(np.asfortranarray(drawn))
annotation = {
    "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 48, "bbox": [4, 3, 8, 6],
    "segmentation": {"size": [20, 30], "counts": encoded["counts"].decode()},
}
truth = {
    "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
    "annotations": [annotation], "categories": [{"id": 1, "name": "leaf"}],
}
scored = annotation | {"score": 0.9}


def attempt(truth, results):
    """Load the results against the truth, evaluate, and return AP or the error."""
    with open("truth.json", "w") as file:
        json.dump(truth, file)
    with open("results.json", "w") as file:
        json.dump(results, file)
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = COCO("truth.json")
        try:
            evaluation = COCOeval(loaded, loaded.loadRes("results.json"), "segm")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return f"AP {evaluation.stats[0]:.1f}"


informed = truth | {"info": {}}
found = {
    "list with score, truth with info": attempt(informed, [scored]),
    "list with score, truth without info": attempt(truth, [scored]),
    "list without score": attempt(informed, [annotation]),
    "whole COCO file": attempt(informed, informed | {"annotations": [scored]}),
    "empty list": attempt(informed, []),
}
print(f"pycocotools {VERSION}, numpy {np.__version__}")
for what, came in found.items():
    print(f"  {what}: {came}")
expected = {
    "list with score, truth with info": "AP 1.0",
    "list with score, truth without info": "KeyError: 'info'" if VERSION == "2.0.10" else "AP 1.0",
    "list without score": "KeyError: 'score'",
    "whole COCO file": "AssertionError: results in not an array of objects",
    "empty list": "IndexError: list index out of range",
}
print("  as described" if found == expected else "  changed")
sys.exit(found != expected)
PYTHON
for version in 2.0.10 2.0.11; do "$folder/$version/bin/python" try.py || exit 1; done
