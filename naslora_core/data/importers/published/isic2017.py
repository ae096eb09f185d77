"""ISIC 2017, part 1: skin lesions in 2,750 dermoscopic images.

Source: Codella et al., "Skin lesion analysis toward melanoma detection: A challenge at the 2017 ISBI", ISBI 2018,
https://challenge.isic-archive.com/data/#2017. Licence: CC0-1.0, to be checked there. One class, lesion; masks are PNG
of 0 and 255. Published split: 2,000 train, 150 validation, 600 test, which Conv-LoRA uses; metric: Jaccard, the mean
over images. Layout: ISIC-2017_<part>_Data/ISIC_N.jpg beside
ISIC-2017_<part>_Part1_GroundTruth/ISIC_N_segmentation.png, <part> one of Training, Validation and Test_v2; the first
also holds ISIC_N_superpixels.png and a CSV, which part 1 has no use for.
"""

from naslora_core.data.importers.base import Found, Importer, ImportRequest, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files

HOME = "https://challenge.isic-archive.com/data/#2017"
FOLDERS = tuple(
    FolderPair(split, f"ISIC-2017_{name}_Data", f"ISIC-2017_{name}_Part1_GroundTruth")
    for split, name in (("train", "Training"), ("validation", "Validation"), ("test", "Test_v2"))
)


def find_isic2017(request: ImportRequest) -> Found:
    """Pair the images with their lesion masks, in the split of the challenge."""
    return Found(
        sources=pair_files(
            request.folder, FOLDERS, "_segmentation", is_image=lambda name: not name.endswith("_superpixels")
        ),
        title="ISIC 2017, part 1: skin lesions",
        classes=("lesion",),
        mask_threshold=128,
        licence=f"CC0-1.0; see {HOME}",
        citation=(
            "Codella, N. et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 International "
            "Symposium on Biomedical Imaging (ISBI), Hosted by the International Skin Imaging Collaboration (ISIC). "
            "ISBI 2018, pages 168-172. https://arxiv.org/abs/1710.05006"
        ),
        origin=HOME,
    )


register(
    Importer(
        name="isic2017",
        summary="ISIC 2017 part 1: skin lesions",
        expected=f"{FOLDERS[0].images}/ and {FOLDERS[0].masks}/, and the same of Validation and Test_v2",
        is_root=holds(FOLDERS[0].images, FOLDERS[0].masks),
        find=find_isic2017,
        home=HOME,
    )
)
