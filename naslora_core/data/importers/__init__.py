"""Import images and masks from published datasets and from common formats.

To add a published dataset, copy `published/camo.py`; to add a format of an annotation tool, copy `formats/yolo.py`.
Such a file holds a function from `ImportRequest` to `Found` and registers an `Importer`; import it in the `__init__.py`
beside it. What several importers need lies in `shared/`, which registers nothing.
"""

from naslora_core.data.importers import drawn, formats, labelled, published
from naslora_core.data.importers.add_dataset import add_dataset, check_addable
from naslora_core.data.importers.assign_splits import missing_splits
from naslora_core.data.importers.base import IMPORTERS, Found, Importer, ImportRequest, Source
from naslora_core.data.importers.import_dataset import check_free, import_dataset
from naslora_core.data.importers.left_out import LeftOut, unused_files
from naslora_core.data.importers.recognise import recognise

__all__ = [
    "IMPORTERS", "Found", "ImportRequest", "Importer", "LeftOut", "Source", "add_dataset", "check_addable",
    "check_free", "drawn", "formats", "import_dataset", "labelled", "missing_splits", "published", "recognise",
    "unused_files",
]  # fmt: skip
