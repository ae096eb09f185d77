"""Image and mask files, decoded in every way the project decodes them."""

import contextlib
from pathlib import Path

from naslora_core.data.dataset.card import DatasetCard
from naslora_core.data.dataset.encoding import decode_picture
from naslora_core.data.dataset.image_files.pixels import (
    check_integrity,
    load_picture,
    to_indices,
    to_mask_values,
    to_rgb,
)
from naslora_core.errors import DataError
from tests.fuzz.harness import target
from tests.fuzz.seeds import card, mask, picture

CARDS = [
    DatasetCard.model_validate(card()),
    DatasetCard.model_validate(card(mask_threshold=None, mask_values={"disc": [1, 255]})),
    DatasetCard.model_validate(card(mask_threshold=None, mask_values={"disc": ["#ff0000"]})),
]
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
FORMATS = (
    (".png", "RGB"), (".png", "P"), (".png", "1"), (".png", "LA"), (".png", "RGBA"), (".png", "I;16"), (".jpg", "RGB"),
    (".jpg", "L"), (".jpg", "CMYK"), (".tif", "RGB"), (".tif", "F"), (".tif", "I"), (".bmp", "RGB"), (".bmp", "1"),
    (".webp", "RGB"),
)  # fmt: skip


def _seeds() -> list[dict[str, bytes]]:
    files = [{f"a{suffix}": picture(suffix, mode)} for suffix, mode in FORMATS]
    turned = {"a.jpg": picture(".jpg", exif=EXIF)}
    return [*files, turned, {"a.tif": picture(".tif", compression="tiff_lzw")}, {"a.png": mask()}]


@target("image", _seeds, weight=3)
def image(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        picture = load_picture(file)
        check_integrity(picture, file)
        for read in (to_rgb, to_mask_values, to_indices):
            with contextlib.suppress(DataError):
                read(picture, file)
        for known in CARDS:
            with contextlib.suppress(DataError):
                decode_picture(picture, file, known)
