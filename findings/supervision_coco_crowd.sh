#!/bin/sh
# supervision exports every mask with a hole or a second part as a crowd, which COCOeval leaves out.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.3.4 || exit 2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import importlib.metadata
import io
import json
import sys

import cv2
import numpy as np
import supervision
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print(*(f"{name} {importlib.metadata.version(name)}" for name in ("supervision", "pycocotools", "numpy")), sep=", ")
square = np.zeros((20, 30), bool)
square[3:13, 4:14] = True
ring = square.copy()
ring[6:9, 7:10] = False
parts = np.zeros((20, 30), bool)
parts[2:6, 2:6] = parts[10:16, 15:25] = True
masks = {"square": square, "ring": ring, "two parts": parts}
found = {}
for name, drawn in masks.items():
    cv2.imwrite("image.png", np.zeros((20, 30, 3), np.uint8))
    mask = drawn[None]
    detections = supervision.Detections(
        xyxy=supervision.mask_to_xyxy(mask).astype(float), mask=mask, class_id=np.zeros(1, int)
    )
    dataset = supervision.DetectionDataset(["leaf"], ["image.png"], {"image.png": detections})
    dataset.as_coco(annotations_path="truth.json")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO("truth.json")
        annotation = truth.loadAnns(truth.getAnnIds())[0]
        painted = int(truth.annToMask(annotation).sum())
        runs = truth.annToRLE(annotation)
        runs["counts"] = runs["counts"].decode()
        result = {key: annotation[key] for key in ("image_id", "category_id")}
        result |= {"segmentation": runs, "score": 0.9}
        with open("results.json", "w") as file:
            json.dump([result], file)
        evaluation = COCOeval(truth, truth.loadRes("results.json"), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found[name] = (int(drawn.sum()), painted, annotation["area"], annotation["iscrowd"], round(float(evaluation.stats[0]), 3))
    print(
        f"{name}: drawn {drawn.sum()} px, pycocotools paints {painted}, area {annotation['area']}, "
        f"iscrowd {annotation['iscrowd']}; AP of the same object as prediction {evaluation.stats[0]:.0f}"
    )
expected = {
    "square": (100, 81, 100.0, 0, 1.0),
    "ring": (91, 91, 91.0, 1, -1.0),
    "two parts": (76, 76, 76.0, 1, -1.0),
}
print("as described: AP -1 says that there is no object to find" if found == expected else "changed")
sys.exit(found != expected)
PYTHON
