"""Write masks as COCO's annotations, whose run lengths hold every pixel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as run_lengths


def coco_annotations(ids: np.ndarray, image_id: int, scores: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return COCO's annotation of every class in an image, without `id`.

    An annotation is all pixels of its class, with any number of parts and holes: `segmentation` is in compressed run
    lengths, `area` the number of pixels, and `bbox` x, y, width and height along the pixels' edges.

    Args:
        ids: (H, W) class ids, 0 is the background.
        image_id: of the image in the same file.
        scores: of every class in `ids`, 0..1, by which COCOeval sorts.
    """
    annotations = []
    for number in np.unique(ids[ids > 0]).tolist():
        encoded = run_lengths.encode(np.asfortranarray(ids == number, dtype=np.uint8))
        box, area = run_lengths.toBbox(encoded).tolist(), int(run_lengths.area(encoded))
        segmentation = {"size": list(ids.shape), "counts": encoded["counts"].decode("ascii")}
        annotations.append({"image_id": image_id, "category_id": number, "segmentation": segmentation, "bbox": box,
                            "area": area, "iscrowd": 0, "score": scores[number]})  # fmt: skip
    return annotations
