"""Layouts in which every image has a file of its own with labels: masks, arrays, or the outlines of its objects.

Copy `nnunet.py` to add one whose masks hold values, or `qupath.py` for one with outlines; then import the new file
below.
"""

from naslora_core.data.importers.labelled import (
    cellpose,
    cityscapes,
    imagej,
    label_arrays,
    nnunet,
    object_masks,
    qupath,
    roboflow_masks,
    voc,
)

__all__ = [
    "cellpose",
    "cityscapes",
    "imagej",
    "label_arrays",
    "nnunet",
    "object_masks",
    "qupath",
    "roboflow_masks",
    "voc",
]
