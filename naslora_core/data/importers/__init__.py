"""Published and private layouts of images and masks, brought into naslora's own.

A new layout is one file in `published/` (a data set as its authors lay it out) or in `formats/` (a general layout, an
annotation tool): a function from `ImportRequest` to `Found`, and an `Importer` that says how to tell it. Copy a short
neighbour; what importers have in common lies in `shared/`.
"""

from naslora_core.data.importers.assign_splits import missing_splits
from naslora_core.data.importers.base import IMPORTERS, Found, Importer, ImportRequest, Source
from naslora_core.data.importers.formats import coco, folder, yolo
from naslora_core.data.importers.import_dataset import import_dataset
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
    "IMPORTERS", "Found", "ImportRequest", "Importer", "Source", "camo", "clinicdb", "coco", "folder",
    "import_dataset", "isic2017", "kvasir", "leaf_disease", "missing_splits", "recognise", "roads", "sbu", "trans10k",
    "yolo",
]  # fmt: skip
