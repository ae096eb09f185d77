"""CAMO: camouflaged animals and people in 1,250 images.

Source: Le et al., "Anabranch Network for Camouflaged Object Segmentation", Computer Vision and Image Understanding 184,
2019, https://sites.google.com/view/ltnghia/research/camo. Licence: academic purposes only. One class, camouflaged;
masks are PNG. Published split: 1,000 train, 250 test, no validation, which is drawn from the training images.
Conv-LoRA measures S-measure, E-measure, weighted F-measure and MAE.
Layout: CAMO-V.1.0-CVIU2019 with Images/Train, Images/Test and one folder GT for the masks of both.
"""

from naslora_core.data.importers.base import Found, Importer, ImportRequest, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files

HOME = "https://sites.google.com/view/ltnghia/research/camo"
FOLDERS = (FolderPair("train", "Images/Train", "GT"), FolderPair("test", "Images/Test", "GT"))


def find_camo(request: ImportRequest) -> Found:
    """Pair the images of both splits with the masks of the folder they share."""
    return Found(
        sources=pair_files(request.folder, FOLDERS),
        title="CAMO: camouflaged objects",
        classes=("camouflaged",),
        mask_threshold=128,
        licence=f"academic use only; see {HOME}",
        citation=(
            "Le, T.-N. et al. Anabranch network for camouflaged object segmentation. Computer Vision and Image "
            "Understanding 184, 2019, pages 45-56. https://arxiv.org/abs/2105.09451"
        ),
        origin=HOME,
    )


register(
    Importer(
        name="camo",
        summary="CAMO: camouflaged animals and people",
        expected="Images/Train/, Images/Test/ and GT/, as in CAMO-V.1.0-CVIU2019",
        is_root=holds("Images/Train", "Images/Test", "GT"),
        find=find_camo,
        home=HOME,
    )
)
