"""Published and private layouts of images and masks, brought into naslora's own.

A new layout is one file here: a function from `ImportRequest` to `Found`, registered by its decorator.
"""

from naslora_core.data.importers import folder, kvasir
from naslora_core.data.importers.base import IMPORTERS, Found, Importer, ImportRequest, Source, import_dataset

__all__ = ["IMPORTERS", "Found", "ImportRequest", "Importer", "Source", "folder", "import_dataset", "kvasir"]
