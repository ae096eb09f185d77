"""SBU: shadows in 4,727 photographs.

Source: Vicente et al., "Large-Scale Training of Shadow Detectors with Noisily-Annotated Shadow Examples", ECCV 2016,
https://www3.cs.stonybrook.edu/~cvl/projects/shadow_noisy_label/index.html. Licence: none is stated. One class, shadow;
masks are PNG. Published split: 4,089 train, 638 test, no validation, which is drawn from the training images.
Conv-LoRA measures the balanced error rate (BER).
Layout: SBU-shadow with SBUTrain4KRecoveredSmall/ and SBU-Test/, ShadowImages/ and ShadowMasks/ in each.
"""

from pathlib import Path

from naslora_core.data.importers.base import Found, Importer, ImportRequest, holds, register
from naslora_core.data.importers.shared.folder_pairs import FolderPair, pair_files

HOME = "https://www3.cs.stonybrook.edu/~cvl/projects/shadow_noisy_label/index.html"
TRAIN, TEST = "SBUTrain4KRecoveredSmall", "SBU-Test"


def find_sbu(request: ImportRequest) -> Found:
    """Pair the photographs with their shadow masks."""
    folders = [
        FolderPair(split, str(Path(name, "ShadowImages")), str(Path(name, "ShadowMasks")))
        for split, name in (("train", TRAIN), ("test", TEST))
    ]
    return Found(
        sources=pair_files(request.folder, folders),
        title="SBU: shadows",
        classes=("shadow",),
        mask_threshold=128,
        licence=f"not stated; see {HOME}",
        citation=(
            "Vicente, T. F. Y. et al. Large-Scale Training of Shadow Detectors with Noisily-Annotated Shadow Examples. "
            "ECCV 2016, pages 816-832. https://doi.org/10.1007/978-3-319-46466-4_49"
        ),
        origin=HOME,
    )


register(
    Importer(
        name="sbu",
        summary="SBU: shadows in photographs",
        expected=f"{TRAIN}/ and {TEST}/ with ShadowImages/ and ShadowMasks/ in each",
        is_root=holds(f"{TRAIN}/ShadowImages", f"{TRAIN}/ShadowMasks"),
        find=find_sbu,
        home=HOME,
    )
)
