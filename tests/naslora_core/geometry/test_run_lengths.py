"""COCO's annotations hold every pixel, as pycocotools reads them."""

import json

import numpy as np
from pycocotools.coco import COCO

from naslora_core.geometry.run_lengths import coco_annotations


def test_coco_gives_back_every_pixel_of_every_class_with_holes_and_parts(tmp_path):
    ids = np.random.default_rng(5).integers(0, 4, size=(31, 17)).astype(np.uint8)
    scores = {1: 0.25, 2: 0.5, 3: 0.75}
    annotations = [{"id": number, **a} for number, a in enumerate(coco_annotations(ids, 7, scores), start=1)]
    image = {"id": 7, "file_name": "leaf.png", "height": 31, "width": 17}
    categories = [{"id": number, "name": str(number)} for number in (1, 2, 3)]
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps({"images": [image], "annotations": annotations, "categories": categories}))
    coco = COCO(file)
    assert len(annotations) == 3
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=7)):
        wanted = ids == annotation["category_id"]
        np.testing.assert_array_equal(coco.annToMask(annotation), wanted)
        assert annotation["area"] == wanted.sum()
        assert annotation["score"] == scores[annotation["category_id"]]


def test_the_box_runs_along_the_edges_of_pixels():
    ids = np.zeros((20, 30), np.uint8)
    ids[3:9, 4:12] = 1
    (annotation,) = coco_annotations(ids, 1, {1: 0.9})
    assert annotation["bbox"] == [4, 3, 8, 6]
