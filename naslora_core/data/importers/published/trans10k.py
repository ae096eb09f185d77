"""Trans10K: transparent objects in 10,428 photographs, in two versions of the masks.

Version 1: Xie et al., "Segmenting Transparent Objects in the Wild", ECCV 2020,
https://xieenze.github.io/projects/TransLAB/TransLAB.html. Two classes by colour: things that can be moved, red, and
stuff such as windows, white. Layout: train/{images,masks}, validation/{easy,hard}/{images,masks}, test likewise.
Version 2: Xie et al., "Segmenting Transparent Objects in the Wild with Transformer", IJCAI 2021,
https://github.com/xieenze/Trans2Seg. Eleven classes by number, 1 to 11. Layout: train/, validation/ and test/ with
images/ and masks_12/ in each. Masks of N.jpg are called N_mask.png in both. Licence: academic use. Published split:
5,000 train, 1,000 validation, 4,428 test. Metric of both papers and of Conv-LoRA: mIoU over the classes of the whole
test set.
"""

from naslora_core.data.dataset.splits import SPLITS
from naslora_core.data.importers.base import Found, Importer, ImportRequest, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files

HOME = "https://xieenze.github.io/projects/TransLAB/TransLAB.html"
HOME_V2 = "https://github.com/xieenze/Trans2Seg"
SUFFIX = "_mask"
COLOURS = {"thing": ("#ff0000",), "stuff": ("#ffffff",)}
FOLDERS = (
    FolderPair("train", "train/images", "train/masks"),
    *(
        FolderPair(split, f"{split}/{level}/images", f"{split}/{level}/masks")
        for split in ("validation", "test")
        for level in ("easy", "hard")
    ),
)
# In the order of their numbers, as Trans2Seg's data loader names them.
CLASSES_V2 = (
    "shelf", "jar or tank", "freezer", "window", "glass door", "eyeglass", "cup", "floor glass", "glass bowl",
    "water bottle", "storage box",
)  # fmt: skip
FOLDERS_V2 = tuple(FolderPair(split, f"{split}/images", f"{split}/masks_12") for split in SPLITS)


def find_trans10k(request: ImportRequest) -> Found:
    """Pair the photographs with the masks of version 1, easy and hard ones alike."""
    return Found(
        sources=pair_files(request.folder, FOLDERS, SUFFIX),
        title="Trans10K: transparent things and stuff",
        classes=tuple(COLOURS),
        mask_values=COLOURS,
        licence=f"academic use; see {HOME}",
        citation="Xie, E. et al. Segmenting Transparent Objects in the Wild. ECCV 2020. https://arxiv.org/abs/2003.13948",
        origin=HOME,
    )


def find_trans10k_v2(request: ImportRequest) -> Found:
    """Pair the photographs with the masks of version 2."""
    return Found(
        sources=pair_files(request.folder, FOLDERS_V2, SUFFIX),
        title="Trans10K-v2: transparent objects of eleven classes",
        classes=CLASSES_V2,
        mask_values={name: (number,) for number, name in enumerate(CLASSES_V2, start=1)},
        licence=f"academic use; see {HOME_V2}",
        citation=(
            "Xie, E. et al. Segmenting Transparent Objects in the Wild with Transformer. IJCAI 2021. "
            "https://arxiv.org/abs/2101.08461"
        ),
        origin=HOME_V2,
    )


register(
    Importer(
        name="trans10k",
        summary="Trans10K: transparent things and stuff, 2 classes",
        expected="train/images/, train/masks/, and easy/ and hard/ of both in validation/ and test/",
        is_root=holds("train/images", "train/masks", "validation/easy/images", "validation/easy/masks"),
        find=find_trans10k,
        home=HOME,
    )
)
register(
    Importer(
        name="trans10k_v2",
        summary="Trans10K-v2: transparent objects, 11 classes",
        expected="train/, validation/ and test/ with images/ and masks_12/ in each",
        is_root=holds("train/images", "train/masks_12"),
        find=find_trans10k_v2,
        home=HOME_V2,
    )
)
