"""Leaf disease segmentation: diseased spots on 588 photographs of leaves.

Source: Kaggle, https://www.kaggle.com/datasets/fakhrealam9537/leaf-disease-segmentation-dataset, made from PlantDoc.
Licence: not stated where it could be read. One class, disease; masks are PNG, dark red (128, 0, 0) on black.
No split is published; Conv-LoRA divides the images itself and measures IoU.
Layout: data/data/images/N.jpg and data/data/masks/N.png. aug_data/ beside it holds 2,940 distorted copies of the same
images, which would be in training and test at once: it is left out.
"""

from pathlib import Path

from naslora_core.data.importers.base import Found, Importer, ImportRequest, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files

HOME = "https://www.kaggle.com/datasets/fakhrealam9537/leaf-disease-segmentation-dataset"
# Half of the 128 that the red of a mask has.
THRESHOLD = 64
_PLACES = ("data/data", "data")


def find_leaf_disease(request: ImportRequest) -> Found:
    """Pair the photographs with the masks of diseased spots, without the augmented copies."""
    place = next(place for place in _PLACES if _is_root_at(request.folder, place))
    augmented = (request.folder / "aug_data").is_dir()
    return Found(
        sources=pair_files(request.folder, [FolderPair(None, f"{place}/images", f"{place}/masks")]),
        title="Leaf disease segmentation",
        classes=("disease",),
        mask_threshold=THRESHOLD,
        licence=f"not stated; see {HOME}",
        citation="Leaf disease segmentation dataset, Kaggle, fakhrealam9537. " + HOME,
        origin=HOME,
        notes=("aug_data/ was left out: it holds distorted copies of the same images",) if augmented else (),
    )


def _is_root_at(folder: Path, place: str) -> bool:
    return holds(f"{place}/images", f"{place}/masks")(folder)


register(
    Importer(
        name="leaf_disease",
        summary="Leaf disease segmentation (Kaggle): diseased spots on leaves",
        expected="data/data/images/ and data/data/masks/",
        is_root=lambda folder: any(_is_root_at(folder, place) for place in _PLACES),
        find=find_leaf_disease,
        home=HOME,
    )
)
