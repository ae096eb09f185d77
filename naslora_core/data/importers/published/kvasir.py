"""Kvasir-SEG: 1,000 polyps in images of the colon, with masks in JPEG.

Source: Jha et al., "Kvasir-SEG: A Segmented Polyp Dataset", MMM 2020, https://datasets.simula.no/kvasir-seg/.
Licence: research and educational use. One class, polyp. Two layouts are known: the official one (images/ and
masks/, no split, and boxes in kavsir_bboxes.json) and the split into train/, validation/ and test/ with images/
and masks/ in each, as the EffiSegNet authors publish it (800, 100 and 100 pairs of 352 x 352 pixels).
Conv-LoRA trains on Kvasir-SEG and CVC-ClinicDB together, as PraNet divides them (900 and 550 pairs to train on, 100
and 62 to test), and measures S-measure, E-measure, weighted F-measure and MAE on each.
"""

from pathlib import Path

from naslora_core.data.dataset.splits import SPLITS
from naslora_core.data.importers.base import Found, Importer, ImportRequest, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files

HOME = "https://datasets.simula.no/kvasir-seg/"
CITATION = (
    "Jha, D. et al. Kvasir-SEG: A Segmented Polyp Dataset. MultiMedia Modeling (MMM) 2020, pages 451-462. "
    "https://doi.org/10.1007/978-3-030-37734-2_37"
)
# JPEG smears the border of a mask: values ring round 0 and 255, and half way is the border that was drawn.
THRESHOLD = 128
# One frozen frame is published for training and testing; the split is kept for comparison, and the gate reports it.
PUBLISHED_COPIES = (("test_16", "train_222"),)

_is_split = holds(*(f"{split}/images" for split in SPLITS), *(f"{split}/masks" for split in SPLITS))
_is_official = holds("images", "masks")


def find_kvasir(request: ImportRequest) -> Found:
    """Pair the images and masks of Kvasir-SEG, in the published split if the folders have one."""
    of_splits = [FolderPair(split, f"{split}/images", f"{split}/masks") for split in SPLITS]
    folders = of_splits if _is_split(request.folder) else [FolderPair(None, "images", "masks")]
    return Found(
        sources=pair_files(request.folder, folders),
        title="Kvasir-SEG: polyps of the colon",
        classes=("polyp",),
        mask_threshold=THRESHOLD,
        licence=f"research and educational use; see {HOME}",
        citation=CITATION,
        origin=HOME,
        accepted_copies=PUBLISHED_COPIES,
    )


def _is_named_so(root: Path) -> bool:
    return (root / "kavsir_bboxes.json").is_file() or any("kvasir" in part.lower() for part in root.resolve().parts)


register(
    Importer(
        name="kvasir",
        summary="Kvasir-SEG: polyps of the colon",
        expected="images/ and masks/, or train/, validation/ and test/ with images/ and masks/ in each",
        is_root=lambda folder: _is_split(folder) or _is_official(folder),
        find=find_kvasir,
        home=HOME,
        is_unmistakable=_is_named_so,
    )
)
