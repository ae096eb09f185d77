"""Write the masks of a run as one COCO file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from naslora_core.files import write_json
from naslora_core.geometry.polygons import coco_annotations
from pipelines.predict.outputs import find_mask, read_ids
from pipelines.predict.record import Row

COCO_FILE = "annotations.json"


def write_coco(folder: Path, rows: Iterable[Row], classes: Sequence[str]) -> Path:
    """Write annotations.json for all rows that have a mask in `folder`, and return its path.

    The masks are read back one by one, so a run that was resumed describes all of its images, in the memory of one.

    Args:
        folder: of the outputs.
        rows: of the images; the order is that of the file.
        classes: names of the class ids from 1 on.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in rows:
        if row.status == "failed":
            continue
        ids = read_ids(find_mask(folder, row.name))
        height, width = ids.shape
        images.append({"id": len(images) + 1, "file_name": row.file, "width": width, "height": height})
        annotations += coco_annotations(ids, len(images))
    numbered = [{"id": number, **annotation} for number, annotation in enumerate(annotations, start=1)]
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    content = {"images": images, "annotations": numbered, "categories": categories}
    write_json(folder / COCO_FILE, content, indent=None)
    return folder / COCO_FILE
