"""Kvasir-SEG: 1,000 polyps in images of the colon, with masks in JPEG.

Source: Jha et al., "Kvasir-SEG: A Segmented Polyp Dataset", MMM 2020, https://datasets.simula.no/kvasir-seg/.
Licence: research and educational use. One class, polyp. Two layouts are known: the official one (images/ and
masks/, no split) and the division into train/, validation/ and test/ with images/ and masks/ in each, as the
EffiSegNet authors publish it (800, 100 and 100 pairs of 352 x 352 pixels).
"""

from pathlib import Path

from naslora_core.data.dataset import list_images
from naslora_core.data.importers.base import IMPORTERS, Found, ImportRequest, Source
from naslora_core.data.splits import SPLITS
from naslora_core.errors import DataError

CITATION = (
    "Jha, D. et al. Kvasir-SEG: A Segmented Polyp Dataset. MultiMedia Modeling (MMM) 2020, pages 451-462. "
    "https://doi.org/10.1007/978-3-030-37734-2_37"
)
# JPEG smears the border of a mask: values ring round 0 and 255, and half way is the border that was drawn.
THRESHOLD = 128


@IMPORTERS.register("kvasir")
def find_kvasir(request: ImportRequest) -> Found:
    """Recognise Kvasir-SEG in a folder, divided or not.

    Raises:
        DataError: if the folder has neither layout.
    """
    folder = request.folder
    if all((folder / split / "images").is_dir() for split in SPLITS):
        # Each part numbers its files from 0, so the name of the part has to become part of the name.
        sources = [source for split in SPLITS for source in _pairs(folder / split, f"{split}_", split)]
    elif (folder / "images").is_dir() and (folder / "masks").is_dir():
        sources = _pairs(folder, "", None)
    else:
        raise DataError(
            f"{folder} is not Kvasir-SEG: expected train/, validation/ and test/ with images/ and masks/ "
            "in each, or images/ and masks/ alone. Check the path, or use naslora data import folder"
        )
    return Found(
        sources=tuple(sources),
        title="Kvasir-SEG: polyps of the colon",
        class_name="polyp",
        mask_threshold=THRESHOLD,
        licence="research and educational use; see https://datasets.simula.no/kvasir-seg/",
        citation=CITATION,
        origin="https://datasets.simula.no/kvasir-seg/",
    )


def _pairs(folder: Path, prefix: str, split: str | None) -> list[Source]:
    images, masks = list_images(folder / "images"), list_images(folder / "masks")
    names = sorted(images.keys() | masks.keys())
    return [Source(f"{prefix}{name}", images.get(name), masks.get(name), split) for name in names]
