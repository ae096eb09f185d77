"""Formats that belong to no single dataset, one file each, such as COCO, YOLO and plain folders.

Copy `yolo.py` to add one: it reads a file of outlines and paints a mask for each image only when it is written.
Then import the new file
below.
"""

from naslora_core.data.importers.formats import coco, coco_panoptic, folder, kaggle_rle, sa1b, yolo

__all__ = ["coco", "coco_panoptic", "folder", "kaggle_rle", "sa1b", "yolo"]
