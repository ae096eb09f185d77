"""Write the masks of a run as one COCO file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslora_core.errors import DataError
from naslora_core.files import write_json
from naslora_core.geometry.run_lengths import coco_annotations
from pipelines.predict.inputs import file_name
from pipelines.predict.mask_files import find_mask, read_ids
from pipelines.predict.record import Row
from pipelines.predict.scores import from_text

COCO_FILE = "annotations.json"
# pycocotools 2.0.9 and 2.0.10 load no results against a file without it.
_INFO = {
    "description": (
        "Masks predicted by naslora. file_name is relative to the folder that was given to naslora predict; score is "
        "the mean probability of an annotation's pixels; area is their number."
    )
}


def write_coco(folder: Path, rows: Iterable[Row], classes: Sequence[str]) -> Path:
    """Write annotations.json for all rows that have a mask in `folder`, and return its path.

    The masks are read back one by one, so a run that was resumed describes all of its images, in the memory of one.

    Args:
        folder: of the outputs.
        rows: of the images, each with its scores; the order is that of the file.
        classes: names of the class ids from 1 on.

    Raises:
        DataError: if a mask holds another class than the run wrote into it.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in rows:
        if row.status == "failed":
            continue
        ids, scores = read_ids(mask := find_mask(folder, row.name), several=len(classes) > 1), from_text(row.scores)
        if changed := sorted(set(np.unique(ids[ids > 0]).tolist()) - scores.keys()):
            raise DataError(
                f"{mask} holds class {changed[0]}, which was not predicted there; it was changed since. Delete it, and "
                "--resume predicts the image again"
            )
        height, width = ids.shape
        name = file_name(row.name, Path(row.file))
        images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
        annotations += coco_annotations(ids, len(images), scores)
    numbered = [{"id": number, **annotation} for number, annotation in enumerate(annotations, start=1)]
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    content = {"info": _INFO, "images": images, "annotations": numbered, "categories": categories}
    write_json(folder / COCO_FILE, content, indent=None)
    return folder / COCO_FILE
