"""Published and private layouts of images and masks, brought into naslora's own.

A new layout is one file here: a function from `ImportRequest` to `Found`, and an `Importer` that says how to tell it.
"""

from naslora_core.data.importers import (
    camo,
    clinicdb,
    coco,
    folder,
    isic2017,
    kvasir,
    leaf_disease,
    roads,
    sbu,
    trans10k,
    yolo,
)
from naslora_core.data.importers.base import IMPORTERS, Found, Importer, ImportRequest, Source
from naslora_core.data.importers.bring import import_dataset
from naslora_core.data.importers.divide import missing_splits
from naslora_core.data.importers.recognise import recognise

__all__ = [
    "IMPORTERS", "Found", "ImportRequest", "Importer", "Source", "camo", "clinicdb", "coco", "folder",
    "import_dataset", "isic2017", "kvasir", "leaf_disease", "missing_splits", "recognise", "roads", "sbu", "trans10k",
    "yolo",
]  # fmt: skip
