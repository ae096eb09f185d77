"""Published datasets as their authors lay them out, one file each.

Copy `camo.py` to add one: it states source, licence, split and layout, pairs the files and registers the importer.
Then import the new file
below.
"""

from naslora_core.data.importers.published import camo, clinicdb, isic2017, kvasir, leaf_disease, roads, sbu, trans10k

__all__ = ["camo", "clinicdb", "isic2017", "kvasir", "leaf_disease", "roads", "sbu", "trans10k"]
