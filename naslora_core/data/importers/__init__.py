"""Import images and masks from published datasets and from common formats.

To add a published dataset, copy `published/camo.py`; to add a format of an annotation tool, copy `formats/yolo.py`.
Such a file holds a function from `ImportRequest` to `Found` and registers an `Importer`; import it below. What several
importers need lies in `shared/`, which registers nothing.
"""

from naslora_core.data.importers.add_dataset import add_dataset, check_addable
from naslora_core.data.importers.assign_splits import missing_splits
from naslora_core.data.importers.base import IMPORTERS, Found, Importer, ImportRequest, Source
from naslora_core.data.importers.drawn import cvat, cvat_masks, datumaro, label_studio, label_studio_png, labelme
from naslora_core.data.importers.formats import coco, coco_panoptic, folder, kaggle_rle, sa1b, yolo
from naslora_core.data.importers.import_dataset import check_free, import_dataset
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
from naslora_core.data.importers.left_out import LeftOut, unused_files
from naslora_core.data.importers.published import (
    camo,
    clinicdb,
    isic2017,
    kvasir,
    leaf_disease,
    roads,
    sbu,
    trans10k,
)
from naslora_core.data.importers.recognise import recognise

__all__ = [
    "IMPORTERS", "Found", "ImportRequest", "Importer", "LeftOut", "Source", "add_dataset", "camo", "cellpose",
    "check_addable", "check_free",
    "cityscapes", "clinicdb", "coco", "coco_panoptic", "cvat", "cvat_masks", "datumaro", "folder", "imagej",
    "import_dataset", "isic2017", "kaggle_rle", "kvasir", "label_arrays", "label_studio", "label_studio_png",
    "labelme", "leaf_disease", "missing_splits", "nnunet", "object_masks", "qupath", "recognise", "roads",
    "roboflow_masks", "sa1b", "sbu", "trans10k", "unused_files", "voc", "yolo",
]  # fmt: skip
